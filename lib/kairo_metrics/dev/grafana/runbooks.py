"""The runbooks: what to do when an alert fires."""

from __future__ import annotations

import re
from pathlib import Path

from .rules.rule_files import alerts_of
from .system import System

__all__ = ["runbooks_md", "sections"]

_FILE = Path(__file__).parent / "runbooks.txt"


def sections(system: System) -> dict[str, str]:
    """Return the section of each alert that the system has, without the heading."""
    _, *parts = re.split(r"^## (.+)\n", _text(system), flags=re.MULTILINE)
    return {alert: content.strip() for alert, content in zip(parts[::2], parts[1::2], strict=True)}


def runbooks_md(system: System) -> str:
    """Return the file of all sections."""
    return _text(system)


def _text(system: System) -> str:
    head, *parts = re.split(r"^(?=## )", _FILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    names = {alert.name for alert in alerts_of(system)}
    kept = [part for part in parts if part.partition("\n")[0].removeprefix("## ") in names]
    return system.filled(head + "".join(kept)).rstrip() + "\n"
