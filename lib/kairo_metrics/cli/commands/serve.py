"""`serve`: the functions of a project in production."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...config.serve_settings import ServeSettings
from ...errors import SettingsError
from .dev import port

__all__ = ["add_serve"]


def add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    serve = commands.add_parser("serve", help="serve every function of api/ in production, on any host")
    serve.add_argument("--root", type=Path, default=Path(), help="the project's folder (default: the current one)")
    serve.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    serve.add_argument("--port", type=port, help="the TCP port (default: PORT, else 8000)")
    serve.add_argument("--workers", type=_workers, help="the number of processes (default: WEB_CONCURRENCY, else 1)")
    serve.add_argument("--access-log", action="store_true", help="write a line for each request")
    serve.set_defaults(run=_serve)


def _workers(text: str) -> int:
    try:
        return ServeSettings.from_env({"WEB_CONCURRENCY": text}).workers
    except SettingsError as err:
        raise argparse.ArgumentTypeError(f"{err.reason}{err.given}") from err


def _serve(options: argparse.Namespace) -> None:
    # Imported late: the other commands need no web server.
    from ...hosting.server import run

    run(options.root, options.host, options.port, options.workers, logs_requests=options.access_log)
