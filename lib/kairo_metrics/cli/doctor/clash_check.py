"""The check for families that a page can't show beside another one."""

from __future__ import annotations

from collections.abc import Iterable

from ...scrape.clashes import sentence
from .finding import Finding, ok, warn

__all__ = ["check_clashes"]

_SHOWN = 3


def check_clashes(clashes: Iterable[tuple[str, str, str]]) -> Finding:
    """Return the finding.

    Args:
        clashes: for each, the family, the one that is shown instead, and the reason, as in `kairo_clashing_schemas`.

    Example:
        >>> check_clashes([("orders_created", "orders", "name")]).text
        'left out, at least in OpenMetrics: orders_created has a name that orders uses or reserves'
    """
    # What a deployment has replaced is no clash: its old series leave the page when they expire.
    found = sorted({clash for clash in clashes if clash[2] != "replaced"})
    if not found:
        return ok("clashes", "none")
    told = "; ".join(sentence(*clash) for clash in found[:_SHOWN])
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return warn(
        "clashes",
        f"left out, at least in OpenMetrics: {told}{more}",
        "rename one of the two; `wipe --family NAME` deletes what nothing writes any more",
    )
