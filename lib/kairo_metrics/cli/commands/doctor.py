"""`doctor`: finds what is wrong with a deployment, with advice."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...config.environment import environment, split_tokens
from ...errors import SettingsError
from ..store_access import join_dev_server
from ..terminal import Terminal, printable

if TYPE_CHECKING:
    from ..doctor.finding import Finding, Mark
    from ..doctor.http_client import Target

__all__ = ["add_doctor"]

_FAILED, _BAD_SETTINGS = 1, 2
_COLOURS: dict[Mark, str] = {"ok": "green", "warn": "yellow", "fail": "red", "skipped": "dim"}
_EXIT_CODES = "Exit code: 0 no check failed, warnings are allowed; 1 a check failed; 2 a setting or argument is wrong."


def add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    doctor = commands.add_parser(
        "doctor",
        help="check a deployment: from inside, or with --url from outside",
        description="Check the settings of this environment and the Redis behind them; with --url, a deployed page.",
        epilog=_EXIT_CODES,
    )
    doctor.add_argument("--url", help="check this deployment from outside: https://<domain>, with or without a path")
    doctor.add_argument(
        "--token-env",
        metavar="NAME",
        default="METRICS_AUTH_TOKEN",
        help="the environment variable with the bearer token for --url (default: METRICS_AUTH_TOKEN)",
    )
    doctor.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a header for each request to --url, such as x-vercel-protection-bypass=SECRET; may be repeated",
    )
    doctor.add_argument("--inside", action="store_true", help="with --url: check this environment as well")
    doctor.add_argument(
        "--timeout", type=_seconds, default=15.0, metavar="SECONDS", help="for each check (default: 15)"
    )
    doctor.add_argument("--strict", action="store_true", help="exit with 1 on warnings, too")
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")
    doctor.set_defaults(run=_doctor)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 600:  # noqa: PLR2004  ten minutes; NaN is refused as well
        raise argparse.ArgumentTypeError(f"must be a number of seconds up to 600, not {text!r}")
    return seconds


def _doctor(options: argparse.Namespace) -> int:
    if not options.url or options.inside:
        join_dev_server()
    target = _target(options) if options.url else None
    tokens = _tokens(options.token_env) if target else ()
    terminal = Terminal()
    found: list[tuple[str, Finding]] = []
    if target is None or options.inside:
        found += _shown("inside", _inside(options.timeout), options, terminal)
    if target is not None:
        found += _shown("outside", _outside(target, tokens, options.timeout), options, terminal)
    marks = Counter(finding.mark for _, finding in found)
    if options.json:
        checks = [
            {"side": side, "check": f.check, "mark": f.mark, "finding": f.text, "advice": f.advice} for side, f in found
        ]
        terminal.write_line(json.dumps({"checks": checks, "marks": dict(marks)}, indent=2))
    else:
        terminal.write_line()
        terminal.write_line(", ".join(f"{marks[mark]} {mark}" for mark in _COLOURS if marks[mark]))
    if any((side, finding.mark, finding.check) == ("inside", "fail", "settings") for side, finding in found):
        return _BAD_SETTINGS
    return _FAILED if marks["fail"] or (options.strict and marks["warn"]) else 0


def _target(options: argparse.Namespace) -> Target:
    from ..doctor.http_client import Target

    headers = {}
    for given in options.header:
        name, equals, value = given.partition("=")
        if not equals:
            raise SettingsError("--header", "must be NAME=VALUE")
        headers[name.strip()] = value.strip()
    try:
        return Target(options.url, headers)
    except ValueError as err:
        raise SettingsError("--url or --header", f"is wrong: {err}") from None


def _tokens(variable: str) -> tuple[str, ...]:
    """Return the tokens that a variable of any name holds."""
    tokens = split_tokens(environment().get(variable, ""))
    if not all(tokens):
        raise SettingsError(
            variable, "must hold the bearer token of the metrics page, or two with a comma between them"
        )
    if not all(token.isascii() and token.isprintable() for token in tokens):
        raise SettingsError(variable, "has a character that a header may not have: look for two lines pasted as one")
    return tokens


def _inside(limit_s: float) -> Iterator[Finding]:
    from ..doctor.package_check import check_packages
    from ..doctor.push_checks import check_push
    from ..doctor.redis_checks import check_server
    from ..doctor.replica_checks import check_read_url
    from ..doctor.settings_checks import check_settings, check_switch, check_tokens
    from ..doctor.state_checks import check_state, skip_state

    settings, findings = check_settings()
    yield from findings
    if settings is None:
        return
    yield check_switch(settings)
    yield from check_tokens(settings, limit_s)
    yield check_packages()
    yield from check_push(limit_s)
    reached = False
    for finding in check_server(settings, limit_s):
        reached = reached or (finding.check == "redis" and finding.mark != "fail")
        yield finding
    yield from check_read_url(settings, limit_s)
    yield from check_state(settings, limit_s) if reached else skip_state("Redis does not answer")


def _outside(target: Target, tokens: tuple[str, ...], limit_s: float) -> Iterator[Finding]:
    from ..doctor.access_checks import Pages, check_access
    from ..doctor.page_checks import check_page

    pages = Pages()
    yield from check_access(target, tokens, limit_s, pages)
    yield from check_page(pages)


def _shown(
    side: str, findings: Iterator[Finding], options: argparse.Namespace, terminal: Terminal
) -> list[tuple[str, Finding]]:
    """Print each finding as it comes, unless they are printed as JSON at the end."""
    if not options.json:
        title = "Inside: this environment" if side == "inside" else f"Outside: {options.url}"
        terminal.write_line(terminal.style(title, "bold"))
    found = []
    for finding in findings:
        found.append((side, finding))
        if not options.json:
            terminal.write_line(_line(finding, terminal))
    return found


def _line(finding: Finding, terminal: Terminal) -> str:
    mark = terminal.style(f"{finding.mark:<7}", _COLOURS[finding.mark])
    advice = terminal.style(f" -> {printable(finding.advice)}", "cyan") if finding.advice else ""
    return f"  {mark}  {finding.check:<12}  {printable(finding.text)}{advice}"
