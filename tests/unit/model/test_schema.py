"""The identity of a family's schema."""

from __future__ import annotations

from typing import Any

import pytest

from lib.kairo_metrics.model.schema import Schema

WAIT = Schema("wait", "histogram", ("queue",), ("0.5", "+Inf"), help="Seconds.", unit="seconds")


@pytest.mark.parametrize("change", [{"help": "Other."}, {"unit": ""}])
def test_help_and_unit_are_not_part_of_the_identity(change: dict[str, Any]) -> None:
    """Versions of a program with another help text add up in one family."""
    changed = WAIT.changed(**change)
    assert (changed, hash(changed), changed.id) == (WAIT, hash(WAIT), WAIT.id)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "waits"},
        {"type": "native"},
        {"labelnames": ()},
        {"bounds": ("1.0", "+Inf")},
        {"mode": "max"},
        {"states": ("on",)},
        {"of": WAIT.id},
    ],
)
def test_everything_else_is_part_of_the_identity(change: dict[str, Any]) -> None:
    """Numbers that mean something else are stored apart."""
    changed = WAIT.changed(**change)
    assert changed != WAIT
    assert changed.index_field != WAIT.index_field


def test_a_changed_schema_derives_its_parts_anew() -> None:
    """The shape and the rule follow from the type; what is not changed stays."""
    changed = WAIT.changed(type="counter", bounds=())
    assert (changed.shape, changed.rule) == ("g", "sum")
    assert (changed.name, changed.labelnames, changed.help, changed.unit) == ("wait", ("queue",), "Seconds.", "seconds")
