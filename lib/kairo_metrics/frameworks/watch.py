"""shim"""

from typing import Any


def watch(app: Any) -> None:
    """Shim"""
