"""The runbooks: one for each alert, with queries and commands that work."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from grafana import CMS
from lib.kairo_metrics.dev.grafana.dashboard.panels import RUNBOOKS
from lib.kairo_metrics.dev.grafana.runbooks import sections
from tests.support.alert_rules import rules
from tests.support.dashboard import PANELS
from tests.support.dev_server import REPOSITORY
from tests.support.prometheus_server import require

FILE = REPOSITORY / "grafana" / "runbooks.md"


def blocks(language: str) -> list[tuple[str, str]]:
    """Return (alert, content) of the fenced blocks in that language."""
    return [
        (alert, block)
        for alert, section in sections(CMS).items()
        for block in re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    ]


def anchor(heading: str) -> str:
    """Return the anchor that GitHub and GitLab generate for a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    """In the file and in the dashboard each alert has a runbook, and the link of an alert finds its heading."""
    alerts = rules("alert")
    assert sections(CMS).keys() == alerts.keys() == RUNBOOKS.keys()
    anchors = {anchor(heading) for heading in re.findall(r"^## (.+)$", FILE.read_text(), re.MULTILINE)}
    assert {rule["annotations"]["runbook_url"].rpartition("#")[2] for rule in alerts.values()} == anchors


@pytest.mark.parametrize("alert", sections(CMS))
def test_a_runbook_answers_the_four_questions(alert: str) -> None:
    """Each has the meaning, the impact, a diagnosis with something to paste, and the mitigation."""
    section = sections(CMS)[alert]
    parts = re.findall(r"^\*\*(\w+)\.\*\*", section, re.MULTILINE)
    assert parts == ["Meaning", "Impact", "Diagnosis", "Mitigation"]
    assert alert in {named for language in ("promql", "bash") for named, _ in blocks(language)}
    assert PANELS[RUNBOOKS[alert]]["options"]["content"] == section


@pytest.mark.prometheus
def test_prometheus_parses_every_query(tmp_path: Path) -> None:
    """Each query can be pasted unchanged."""
    queries = [query for _, block in blocks("promql") for query in block.strip().split("\n\n")]
    named = [{"record": f"query_{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": named}]}))
    command = [require("promtool"), "check", "rules", str(tmp_path / "queries.yml")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(("alert", "block"), blocks("bash"))
def test_bash_parses_every_command(alert: str, block: str) -> None:
    """Bash parses every command."""
    checked = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, ""), alert


@pytest.mark.parametrize(
    "command", sorted(set(re.findall(r"-m (lib\.kairo_metrics [a-z]+)", "".join(block for _, block in blocks("bash")))))
)
def test_our_own_commands_exist(command: str) -> None:
    """Each command of the package in the runbooks has its help."""
    asked = subprocess.run(
        [sys.executable, "-m", *command.split(), "--help"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert asked.returncode == 0, asked.stderr
    assert command.split()[1] in asked.stdout
