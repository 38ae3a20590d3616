"""The variables of metrics in a test: the switch is as the test has it, and what the test changes is put back."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import cast

from ..config.environment import environment

__all__ = ["kept_variables"]


@contextmanager
def kept_variables(*, enabled: bool) -> Iterator[None]:
    """Let `ENABLE_METRICS` be on or off in a block, and put back after it every variable of metrics.

    Args:
        enabled: whether metrics are on.
    """
    variables = cast("MutableMapping[str, str]", environment())
    before = {name: value for name, value in variables.items() if _is_ours(name)}
    variables["ENABLE_METRICS"] = str(enabled).lower()
    try:
        yield
    finally:
        for name in [name for name in variables if _is_ours(name) and name not in before]:
            del variables[name]
        variables.update(before)


def _is_ours(name: str) -> bool:
    return name == "ENABLE_METRICS" or name.startswith("METRICS_")
