"""The guide to a user's own dashboard lists every threshold with its default."""

from __future__ import annotations

import re

from lib.kairo_metrics.dev.grafana.thresholds import Thresholds
from tests.support.dev_server import REPOSITORY


def test_the_guide_lists_every_threshold() -> None:
    """Each threshold is in the table of the guide with the number that the code has."""
    guide = (REPOSITORY / "docs" / "your-dashboard.md").read_text()
    listed = {name: float(value) for name, value in re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", guide, re.MULTILINE)}
    assert listed == {name: getattr(Thresholds(), name) for name in Thresholds.names()}
