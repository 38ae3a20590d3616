"""`make matrix`: the tests that a library or a server concerns, run with each supported version of it.

Each row has an environment of its own in build/matrix/. It holds what the lock files pin, as far as the version of the
row allows. uv links the packages from its cache, so an environment is made within seconds.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from .dev_server import REPOSITORY
from .matrix_rows import ROWS, Row

__all__ = ["Outcome", "main", "with_outcomes"]

_FOLDER, _SERVERS = REPOSITORY / "build/matrix", REPOSITORY / "build/servers"
_PAGE = REPOSITORY / "docs/matrix.md"
_BEGIN, _END = "<!-- written by make matrix -->", "<!-- end -->"
_UV = (sys.executable, "-m", "uv", "pip")
_COLUMNS = ("library", "requirement", "version", "passed", "skipped", "result")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a row's tests have shown.

    Args:
        row: the row.
        version: the version that was installed.
        passed: how many tests passed.
        skipped: how many were skipped.
        problem: what went wrong, in a few words; empty if nothing did.
    """

    row: Row
    version: str
    passed: int = 0
    skipped: int = 0
    problem: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells of the row, in the order of the columns."""
        counts = str(self.passed), str(self.skipped)
        return self.row.library, self.row.requirement or "newest", self.version, *counts, self.problem or "green"


def main(arguments: Sequence[str]) -> int:
    """Run the rows, write the page, and return 0 if all are green."""
    parser = argparse.ArgumentParser(prog="make matrix", description="Run tests with other versions of libraries.")
    parser.add_argument(
        "only",
        nargs="*",
        help="libraries and servers, such as redis and valkey-server, or rows, such as 'redis<6'; by default all",
    )
    only = set(parser.parse_args(arguments).only)
    rows = [row for row in ROWS if not only or only & {row.library, row.name}]
    if unknown := only - {name for row in rows for name in (row.library, row.name)}:
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(row.name for row in ROWS)}")
    console = Console(width=110)
    outcomes = []
    bar = (TextColumn("{task.description:28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*bar, console=console) as progress:
        task = progress.add_task("", total=len(rows))
        for row in rows:
            progress.update(task, description=row.name)
            outcomes.append(_run(row))
            # After each row, so that a run that is interrupted keeps what it has shown.
            _PAGE.write_text(with_outcomes(_PAGE.read_text(), {row.name: outcomes[-1]}))
            progress.advance(task)
            if outcomes[-1].problem:
                progress.console.print(f"{row.name}: {outcomes[-1].problem}; see {_log_of(row)}", markup=False)
    table = Table(*_COLUMNS)
    for outcome in outcomes:
        table.add_row(*outcome.cells)
    console.print(table)
    return int(any(outcome.problem for outcome in outcomes))


def with_outcomes(page: str, outcomes: Mapping[str, Outcome]) -> str:
    """Return the page with these outcomes in its table. Rows that were not run keep theirs.

    Args:
        page: the text of docs/matrix.md.
        outcomes: by the row's name.
    """
    before, _, rest = page.partition(_BEGIN)
    old, _, after = rest.partition(_END)
    kept = {tuple(cells[:2]): cells for cells in map(_cells, old.splitlines()) if len(cells) == len(_COLUMNS)}
    lines = [_COLUMNS, ["---"] * len(_COLUMNS)]
    for row in ROWS:
        outcome = outcomes.get(row.name)
        place = row.library, f"`{row.requirement}`" if row.requirement else "newest"
        if outcome is not None:
            lines.append([*place, *outcome.cells[2:]])
        elif place in kept:
            lines.append(kept[place])
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return f"{before}{_BEGIN}\n{table}{_END}{after}"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _log_of(row: Row) -> Path:
    return _FOLDER / row.name / "log.txt"


def _run(row: Row) -> Outcome:
    folder = _FOLDER / row.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with _log_of(row).open("w") as log:
        try:
            version = _fetch(row, log) if row.suite else _install(row, folder, log)
        except subprocess.CalledProcessError as err:
            return Outcome(row, "-", problem=f"could not be installed: {err.cmd[0]} ended with {err.returncode}")
        report = f"--junitxml={folder / 'report.xml'}"
        command = [
            *(str(folder / "venv/bin/python"), "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("--hypothesis-profile", "fast", "--numprocesses", "2", "--dist", "loadfile"),
            # What old versions use of Python and of each other is deprecated by now.
            *("-W", "default::DeprecationWarning", "-W", "default::PendingDeprecationWarning"),
            *(report, *row.tests),
        ]
        # Old versions lack what some tests need; elsewhere no test may be skipped in CI.
        environment = {**os.environ, "CI": "false"}
        if row.suite:
            command = ["make", "test-store", f"PYTEST_ARGS=-q {report}"]
            environment["PATH"] = f"{_server_of(row)}{os.pathsep}{environment['PATH']}"
        ran = subprocess.run(
            command, cwd=REPOSITORY, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False
        )
    try:
        (suite,) = ET.parse(folder / "report.xml").getroot().iter("testsuite")
    except (OSError, ET.ParseError):
        return Outcome(row, version, problem=f"pytest ended with {ran.returncode}")
    total, failures, errors, skipped = (int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped"))
    problem = f"{failures + errors} failed" if failures + errors else "" if ran.returncode == 0 else "pytest failed"
    return Outcome(row, version, total - failures - errors - skipped, skipped, problem)


def _server_of(row: Row) -> Path:
    return _SERVERS / row.name


def _fetch(row: Row, log: object) -> str:
    """Fetch the server of a row, unless it is there, and return its version.

    Raises:
        CalledProcessError: it could not be fetched.
    """
    fetching = ["tests/support/fetch_server.sh", str(_server_of(row)), row.suite, row.library]
    subprocess.run(fetching, cwd=REPOSITORY, stdout=log, stderr=subprocess.STDOUT, check=True)  # type: ignore[call-overload]
    asking = [str(_server_of(row) / "redis-server"), "--version"]
    said = subprocess.run(asking, capture_output=True, text=True, check=True).stdout
    found = re.search(r"v=(\S+)", said)
    return found[1] if found else "-"


def _install(row: Row, folder: Path, log: object) -> str:
    """Make the environment of a row, and return the version of its library.

    Raises:
        CalledProcessError: the versions do not go together, or could not be downloaded.
    """
    wanted = [f"{requirement}\n" for requirement in (f"{row.library}{row.requirement}", *row.also)]
    for file in ("requirements.in", "requirements-dev.in"):
        lines = (REPOSITORY / file).read_text().splitlines(keepends=True)
        wanted += [line for line in lines if not line.startswith("-c ")]
    (folder / "wanted.in").write_text("".join(wanted))
    # uv keeps the versions that the output file has, if they fit.
    locked = [(REPOSITORY / file).read_text() for file in ("requirements.txt", "requirements-dev.txt")]
    pins = re.findall(r"^[\w.-]+(?:\[[\w,]+\])?==[^\s;\\]+(?: ; [^\\\n]+)?", "\n".join(locked), re.MULTILINE)
    resolved = folder / "resolved.txt"
    resolved.write_text("\n".join(pins) + "\n")
    newest = () if row.requirement else ("--upgrade-package", row.library)
    python = str(folder / "venv/bin/python")
    for command in (
        [
            *_UV,
            "compile",
            "-q",
            "--no-header",
            "--no-annotate",
            *newest,
            "-o",
            str(resolved),
            str(folder / "wanted.in"),
        ],
        [*_UV[:-1], "venv", "-q", "--python", sys.executable, str(folder / "venv")],
        [*_UV, "install", "-q", "--python", python, "-r", str(resolved)],
    ):
        subprocess.run(command, cwd=REPOSITORY, stdout=log, stderr=subprocess.STDOUT, check=True)  # type: ignore[call-overload]
    found = re.search(rf"^{row.library}==(\S+)", resolved.read_text(), re.MULTILINE)
    return found[1] if found else "-"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
