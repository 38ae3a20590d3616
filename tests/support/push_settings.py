"""The settings of a deployment that pushes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lib.kairo_metrics.config.push_settings import PushSettings

__all__ = ["SECRET", "push_settings"]

SECRET = "a-secret-of-the-cron"


def push_settings(url: str | None, **changes: Any) -> PushSettings:
    """Return what a deployment that pushes has set."""
    labels = {"job": "kairo", "instance": "test"}
    return replace(PushSettings(url=url, labels=labels, cron_secret=SECRET, timeout_ms=5_000), **changes)
