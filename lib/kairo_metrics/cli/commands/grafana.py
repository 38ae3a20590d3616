"""`grafana`: writes the dashboard, the rules and the runbooks of a system."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ...config.settings import Settings
from ...errors import SettingsError
from ..store_access import CommandError
from ..terminal import Terminal, printable

if TYPE_CHECKING:
    from ...dev.grafana.system import System

__all__ = ["add_grafana"]

# As in `dev.grafana.system`, which is imported only when the command runs; a test compares the two.
PARTS = ("requests", "database", "push")


def add_grafana(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    grafana = commands.add_parser(
        "grafana",
        help="write a dashboard, alert rules and runbooks for your own system",
        description="Write dashboard.json, rules/alerts.yml, rules/recording.yml and runbooks.md for the jobs of one "
        "system. It asks nothing and nobody; files that it wrote before are overwritten.",
        epilog="Exit code: 0 written; 1 a file can't be written; 2 a wrong argument.",
    )
    grafana.add_argument("--job", required=True, metavar="REGEX", help="matches the jobs of the system: 'shop-.*'")
    grafana.add_argument("--title", required=True, help="the name of the system: Shop")
    grafana.add_argument("--out", required=True, type=Path, metavar="DIR", help="the folder to write into")
    grafana.add_argument("--prefix", metavar="TEXT", help="of its metrics: shop_ (default: METRICS_PREFIX, else none)")
    grafana.add_argument(
        "--without",
        action="append",
        default=[],
        choices=PARTS,
        help="leave out the panels and alerts of what the system does not have; may be repeated",
    )
    grafana.add_argument(
        "--threshold",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="when an alert fires: error_share=0.02, latency_s=0.5; a wrong name lists all; may be repeated",
    )
    grafana.add_argument(
        "--domain", default="example.com", help="the host of its metrics page, for commands in the runbooks"
    )
    grafana.set_defaults(run=_grafana)


def _grafana(options: argparse.Namespace) -> int:
    from ...dev.grafana.system_files import files_of

    terminal = Terminal()
    chosen = Settings.from_env().options
    path: Path = options.out
    try:
        for name, text in files_of(_system(options, (chosen and chosen.prefix) or "")).items():
            path = options.out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            terminal.write_line(f"wrote {printable(str(path))}")
    except OSError as err:
        raise CommandError(f"{printable(str(path))} can't be written: {err.strerror}") from err
    if chosen and chosen.names and "requests" not in options.without:
        terminal.write_line(
            f"METRICS_NAMES is {chosen.names}: panels and alerts of requests ask for other names, and show nothing; "
            "leave them out with --without requests"
        )
    return 0


def _system(options: argparse.Namespace, prefix: str) -> System:
    from ...dev.grafana.system import System
    from ...dev.grafana.thresholds import Thresholds

    thresholds = Thresholds()
    for given in options.threshold:
        name, _, value = given.partition("=")
        try:
            thresholds = thresholds.changed(name, value)
        except ValueError as err:
            raise SettingsError("--threshold", f"can't be {given}: {err}") from err
    package = __name__.partition(".cli.")[0]
    try:
        return System(
            job=options.job,
            title=options.title,
            prefix=prefix if options.prefix is None else options.prefix,
            without=frozenset(options.without),
            thresholds=thresholds,
            command="kairo-metrics" if "." not in package else f"python -m {package}",
            domain=options.domain,
        )
    except ValueError as err:
        raise SettingsError("--job, --title or --prefix", f"can't be used: {err}") from err
