"""Ports for the servers of tests, which no other test of the same run can have."""

from __future__ import annotations

import itertools
import os
import socket

__all__ = ["free_port"]

# Below the ports that the system gives to connections, and 10,000 lower than the second ports of a cluster's servers.
_FIRST, _OF_EACH_PROCESS, _PROCESSES = 10_000, 600, 16
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _PROCESSES
# Two runs on one machine begin at different places.
_offsets = itertools.count(os.getpid())


def free_port() -> int:
    """Return a TCP port of the loopback address that is free, and that this run gives to nobody else for a while.

    A port that the system chooses may be the port of another process before the server that it is for has started.
    """
    for offset in itertools.islice(_offsets, _OF_EACH_PROCESS):
        port = _FIRST + _worker * _OF_EACH_PROCESS + offset % _OF_EACH_PROCESS
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("all ports of this process's tests are in use")
