"""Cases of one test, of which `make test` runs a few and `make test-long` the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest

__all__ = ["variants"]


def variants(cases: Iterable[Any], always: Collection[Any]) -> list[Any]:
    """Return the cases for `parametrize`, each one that is not in `always` with the mark `long`.

    Args:
        cases: a value each, or a tuple with a value for each name of `parametrize`.
        always: those that `make test` runs.

    Raises:
        ValueError: one of `always` is no case.
    """
    cases = list(cases)
    if unknown := [case for case in always if case not in cases]:
        raise ValueError(f"these are no cases: {unknown}")
    return [case if case in always else pytest.param(*_values(case), marks=pytest.mark.long) for case in cases]


def _values(case: Any) -> tuple[Any, ...]:
    return case if isinstance(case, tuple) else (case,)
