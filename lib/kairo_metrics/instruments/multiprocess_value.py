"""The multiprocess mode of prometheus_client: its values are in files, which may be older than the process."""

from __future__ import annotations

import ctypes
import logging
import os
import struct
import time
import warnings
from pathlib import Path
from typing import Any

from prometheus_client import values

__all__ = ["amount_of_this_process", "leave_multiprocess_mode"]

_log = logging.getLogger("kairo_metrics")
# Of Linux' `statx`, which Python does not offer.
_EMPTY_PATH = 0x1000
_BIRTH = 0x800
_BIRTH_AT = 80
_LENGTH = 256
# After the command's name, which may hold anything, in `/proc/self/stat`.
_START_FIELD = 19


def leave_multiprocess_mode() -> None:
    """Keep new values in memory, not in files of `PROMETHEUS_MULTIPROC_DIR`; those of earlier processes are in them."""
    values.ValueClass = values.MutexValue
    # `remove` and `clear` warn that they do nothing in that mode. They do.
    warnings.filterwarnings("ignore", r"(Removal of|Clearing) labels has not been implemented", UserWarning)
    _log.warning(
        "PROMETHEUS_MULTIPROC_DIR is set; metrics of all processes are added up in Redis, so it is not needed, and "
        "you can remove it"
    )


def amount_of_this_process(value: Any) -> float:
    """Return what a value of the multiprocess mode has; 0 if an earlier process may have counted a part of it.

    A file is named after the process id, which in a container is the same at each start. If the directory outlives the
    process, the value begins with what the processes before have counted, and nothing tells how much that is.

    Args:
        value: a value that is no `MutexValue`.
    """
    file = getattr(getattr(value, "_file", None), "_f", None)
    if file is None:  # of another library: it is in this process
        return float(value.get())
    born_s, started_s = _born_s(file.fileno()), _started_s()
    if born_s is None or started_s is None or born_s < started_s:
        return 0.0
    return float(value.get())


def _born_s(descriptor: int) -> float | None:
    """Return when a file was made, in seconds by the wall clock; None where the system does not tell."""
    answer = ctypes.create_string_buffer(_LENGTH)
    try:
        failed = ctypes.CDLL(None).statx(descriptor, b"", _EMPTY_PATH, _BIRTH, answer)
    except (AttributeError, OSError):
        return None
    if failed or not struct.unpack_from("I", answer)[0] & _BIRTH:
        return None
    seconds, nanoseconds = struct.unpack_from("qI", answer, _BIRTH_AT)
    return float(seconds + nanoseconds / 1e9)


def _started_s() -> float | None:
    """Return when this process was started, in the same way."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[_START_FIELD])
        booted_s = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        return booted_s + ticks / os.sysconf("SC_CLK_TCK") if ticks else None
    except (AttributeError, OSError, ValueError, IndexError):
        return None
