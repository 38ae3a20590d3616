"""Row: the runbooks, so that links to them work in every Grafana."""

from __future__ import annotations

import re
from pathlib import Path

from .panels import RUNBOOKS, Panel, runbook

__all__ = ["TITLE", "panels", "sections"]

TITLE = "Runbooks"

_FILE = Path(__file__).parent.parent / "runbooks.md"


def sections() -> dict[str, str]:
    """Return the sections of the runbooks by the name of their alert, without the headings."""
    _, *parts = re.split(r"^## (.+)\n", _FILE.read_text(), flags=re.MULTILINE)
    return {alert: content.strip() for alert, content in zip(parts[::2], parts[1::2], strict=True)}


def panels() -> tuple[Panel, ...]:
    """Build a panel for each section."""
    contents = sections()
    return tuple(runbook(alert, contents[alert]) for alert in RUNBOOKS)
