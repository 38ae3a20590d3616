"""Running `doctor` in the test's process, with the variables that the test gives."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from lib.kairo_metrics.cli import main
from lib.kairo_metrics.cli.doctor.finding import CHECKS
from tests.support.dev_server import REPOSITORY
from tests.support.instance import Start

__all__ = ["ADVICE", "TOKEN", "Doctor", "Report", "doctor", "filled", "healthy"]

TOKEN = "9f1c2ab47d6e803b5f7ac04e1d92b683"
# Variables of the test run's environment that would change the report.
_FOREIGN = re.compile(
    r"ENABLE_METRICS|OTEL_EXPORTER_.*|CRON_SECRET|(REDIS|REDIS_TLS|KV)_URL|VERCEL_ENV|METRICS_.*|NO_COLOR|TERM|SSL_CERT_.*"
)
# The rows of the table of advice in docs/doctor.md: checks, advice with an ellipsis for what is filled in, and test.
ADVICE: list[tuple[set[str], str, str]] = [
    (set(re.findall(r"`([^`]+)`", checks)), advice, test.strip("`"))
    for checks, advice, test in (
        line.strip("| ").split(" | ")
        for line in (REPOSITORY / "docs/doctor.md").read_text().split("## The advice\n")[1].splitlines()
        if line.startswith("| `")
    )
]


@dataclass(frozen=True)
class Report:
    """The output of `doctor --json`.

    Args:
        code: the exit code.
        checks: (mark, finding, advice) by the check's name; if a check has several results, the first that is not ok.
        printed: all of the output.
    """

    code: int
    checks: dict[str, tuple[str, str, str]]
    printed: str

    def mark(self, check: str) -> str:
        return self.checks[check][0]

    def text(self, check: str) -> str:
        """Return finding and advice."""
        return " -> ".join(self.checks[check][1:])

    @property
    def failed(self) -> set[str]:
        return {check for check, (mark, *_) in self.checks.items() if mark == "fail"}

    @property
    def warned(self) -> set[str]:
        return {check for check, (mark, *_) in self.checks.items() if mark == "warn"}


Doctor = Callable[..., Report]


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Give a function that runs `doctor` with arguments, and with these of our variables only."""

    def run(*arguments: str, **environ: str) -> Report:
        for name in list(os.environ):
            if _FOREIGN.fullmatch(name):
                monkeypatch.delenv(name)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        code = main(["doctor", "--json", *arguments])
        printed = capsys.readouterr()
        checks: dict[str, tuple[str, str, str]] = {}
        for entry in json.loads(printed.out)["checks"]:
            assert entry["check"] in CHECKS
            # Every problem has advice.
            assert entry["advice"] or entry["mark"] not in {"warn", "fail"}
            assert not entry["advice"] or _is_documented(entry["check"], entry["advice"]), entry
            if checks.get(entry["check"], ("ok",))[0] == "ok":
                checks[entry["check"]] = entry["mark"], entry["finding"], entry["advice"]
        return Report(code, checks, printed.out + printed.err)

    return run


def _is_documented(check: str, advice: str) -> bool:
    """Tell whether the table in docs/doctor.md has the advice for this check."""
    patterns = (".*".join(map(re.escape, text.split("…"))) for checks, text, _ in ADVICE if check in checks)
    return any(re.fullmatch(pattern, advice) for pattern in patterns)


def healthy(redis_url: str, **changes: str) -> dict[str, str]:
    """Give the variables of a deployment without a fault."""
    return {"ENABLE_METRICS": "true", "METRICS_AUTH_TOKEN": TOKEN, "REDIS_URL": redis_url, **changes}


async def filled(start: Start, redis_url: str, count: int = 1, **changes: Any) -> None:
    """Let an instance deliver this number of series of one family."""
    instance = start(redis_url, **changes)
    for number in range(count):
        instance.add(f'queue="{number}"')
    await instance.flusher.aflush()
