"""The command line: `python -m lib.kairo_metrics COMMAND`, or `kairo-metrics COMMAND` from the wheel."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .config import DevSettings
from .errors import KairoError, SettingsError
from .hosting.settings import ServeSettings

__all__ = ["main"]

_FAILED = 1
_BAD_SETTINGS = 2  # as argparse does for a bad argument


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand and return the process's exit code.

    Args:
        arguments: the words after the program's name; None takes those of the process.

    Example:
        sys.exit(main(["dev", "--port", "4000"]))
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except SettingsError as err:
        sys.stderr.write(f"{err}\n")
        return _BAD_SETTINGS
    except KairoError as err:
        sys.stderr.write(f"{err}\n")
        return _FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kairo-metrics", description="Prometheus metrics for serverless Python.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_dev(commands)
    _add_serve(commands)
    return parser


def _add_dev(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    dev = commands.add_parser("dev", help="serve every function of api/ on this machine, with a Redis of its own")
    dev.add_argument("--root", type=Path, default=Path(), help="the project's folder (default: the current one)")
    dev.add_argument("--port", type=_port, help="the TCP port on 127.0.0.1 (default: PORT, else 3000)")
    dev.add_argument("--with-parent", action="store_true", help="also end with the process that started this one")
    dev.set_defaults(run=_dev)


def _port(text: str) -> int:
    try:
        return DevSettings.from_env({"PORT": text}).port
    except SettingsError as err:
        raise argparse.ArgumentTypeError(err.reason) from err


def _dev(options: argparse.Namespace) -> None:
    # Imported late: the other commands do without a web server.
    from .dev.server import run

    run(options.root, options.port, with_parent=options.with_parent)


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = commands.add_parser("serve", help="serve every function of api/ in production, on any host")
    serve.add_argument("--root", type=Path, default=Path(), help="the project's folder (default: the current one)")
    serve.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    serve.add_argument("--port", type=_port, help="the TCP port (default: PORT, else 8000)")
    serve.add_argument("--workers", type=_workers, help="the number of processes (default: WEB_CONCURRENCY, else 1)")
    serve.add_argument("--access-log", action="store_true", help="write a line for each request")
    serve.set_defaults(run=_serve)


def _workers(text: str) -> int:
    try:
        return ServeSettings.from_env({"WEB_CONCURRENCY": text}).workers
    except SettingsError as err:
        raise argparse.ArgumentTypeError(err.reason) from err


def _serve(options: argparse.Namespace) -> None:
    from .serve import run

    run(options.root, options.host, options.port, options.workers, logs_requests=options.access_log)
