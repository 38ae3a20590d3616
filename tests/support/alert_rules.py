"""The alert rules as tests read them, and promtool, which checks them."""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from tests.support.dev_server import REPOSITORY
from tests.support.prometheus_server import require

RULES = REPOSITORY / "grafana" / "rules"


FILES = sorted(RULES.glob("*.yml"))


@functools.cache
def rules(kind: str) -> dict[str, dict[str, Any]]:
    """Give the rules of all files by name; `kind` is "alert" or "record"."""
    groups = [group for file in FILES for group in yaml.safe_load(file.read_text())["groups"]]
    return {rule[kind]: rule for group in groups for rule in group["rules"] if kind in rule}


def quick(files: Iterable[Path], folder: Path, window: str = "10s") -> list[Path]:
    """Copy rules with short windows, short `for` times, and an evaluation every second."""
    copies = []
    for file in files:
        text = re.sub(r"\[\d+[mhd]\]", f"[{window}]", file.read_text())
        text = re.sub(r"(?m)^(\s+)for: .*$", r"\1for: 2s", text)
        text = re.sub(r"(?m)^(\s+)interval: .*$", r"\1interval: 1s", text)
        copies.append(folder / file.name)
        copies[-1].write_text(text)
    return copies


def promtool(*arguments: object, program: str = "") -> subprocess.CompletedProcess[str]:
    """Run the installed promtool, or another one."""
    command = [program or require("promtool"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
