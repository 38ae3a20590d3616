"""The command line: `python -m lib.kairo_metrics COMMAND`, or `kairo-metrics COMMAND` with the wheel."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .. import __version__
from ..errors import KairoError, SettingsError
from .commands.dev import add_dev
from .commands.doctor import add_doctor
from .commands.grafana import add_grafana
from .commands.init import add_init
from .commands.series import add_series
from .commands.serve import add_serve
from .commands.show import add_show
from .commands.wipe import add_wipe

__all__ = ["main"]

_PACKAGE = __name__.rpartition(".")[0]
_FAILED = 1
_BAD_SETTINGS = 2  # as argparse does for a bad argument
_INTERRUPTED = 130  # as a shell reports a process that SIGINT ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand and return the process's exit code.

    Args:
        arguments: the words after the program's name; by default those of the process.

    Example:
        sys.exit(main(["dev", "--port", "4000"]))
    """
    options = _parser().parse_args(arguments)
    try:
        code: int | None = options.run(options)
        sys.stdout.flush()  # a closed pipe raises here, where it is handled
    except SettingsError as err:
        sys.stderr.write(f"{err}\n")
        return _BAD_SETTINGS
    except KairoError as err:
        sys.stderr.write(f"{err}\n")
        return _FAILED
    except ModuleNotFoundError as err:
        if err.name != f"{_PACKAGE}.dev":
            raise
        sys.stderr.write("this copy of the package has no folder dev/, as in the Docker image: use a whole copy\n")
        return _FAILED
    except BrokenPipeError:
        # Such as `| head`. Without a standard output, Python does not try to flush the rest at its end.
        sys.stdout = None
        return _FAILED
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return _INTERRUPTED
    return code or 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kairo-metrics", description="Prometheus metrics for serverless Python.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_init(commands)
    add_dev(commands)
    add_serve(commands)
    add_doctor(commands)
    add_series(commands)
    add_show(commands)
    add_wipe(commands)
    add_grafana(commands)
    return parser
