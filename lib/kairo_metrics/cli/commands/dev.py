"""`dev`: the functions of a project on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...config.dev_settings import DevSettings
from ...errors import SettingsError

__all__ = ["add_dev", "port"]


def add_dev(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    dev = commands.add_parser("dev", help="serve every function of api/ on this machine, with a Redis of its own")
    dev.add_argument("--root", type=Path, default=Path(), help="the project's folder (default: the current one)")
    dev.add_argument("--port", type=port, help="the TCP port on 127.0.0.1 (default: PORT, else 3000)")
    dev.add_argument("--with-parent", action="store_true", help="also end with the process that started this one")
    dev.set_defaults(run=_dev)


def port(text: str) -> int:
    """Read a TCP port from an argument."""
    try:
        return DevSettings.from_env({"PORT": text}).port
    except SettingsError as err:
        raise argparse.ArgumentTypeError(f"{err.reason}{err.given}") from err


def _dev(options: argparse.Namespace) -> None:
    # Imported late: the other commands need no web server.
    from ...dev.dev_server import run

    run(options.root, options.port, with_parent=options.with_parent)
