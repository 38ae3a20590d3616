"""The alert rules as tests read them, and promtool, which checks them."""

from __future__ import annotations

import functools
import subprocess
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


def promtool(*arguments: object, program: str = "") -> subprocess.CompletedProcess[str]:
    """Run the installed promtool, or another one."""
    command = [program or require("promtool"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
