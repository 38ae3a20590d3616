"""The catalogue of our families as a new process has it: nothing built, nothing chosen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lib.kairo_metrics.entrypoints import custom_labels
from lib.kairo_metrics.instruments import catalogue, declarations, shape
from lib.kairo_metrics.instruments.catalogue import OWN

__all__ = ["fresh_catalogue"]

_KEPT: tuple[Any, ...] = (
    catalogue._built,
    declarations._chosen,
    shape._settled,
    shape._supposed,
    custom_labels._values,
    custom_labels._logged,
)


@pytest.fixture
def fresh_catalogue() -> Iterator[None]:
    """Let a test choose options for its process, as if no test had run before, and forget them after it."""
    collectors, before = list(OWN._collector_to_names), [kept.copy() for kept in _KEPT]
    _forget()
    yield
    _forget()
    for kept, content in zip(_KEPT, before, strict=True):
        kept.extend(content) if isinstance(kept, list) else kept.update(content)
    for collector in collectors:
        OWN.register(collector)


def _forget() -> None:
    for collector in list(OWN._collector_to_names):
        OWN.unregister(collector)
    for kept in _KEPT:
        kept.clear()
