"""A series as its instance keeps it: what happened to it since it was sent last."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from ..model.moment import Moment
from ..model.schema import Schema

if TYPE_CHECKING:
    from ..model.native_counts import NativeCounts

__all__ = ["INSTANCE_PLACE", "PendingSeries"]

# Stands for the instance's id in the label text of a series of its own; no label text holds it.
INSTANCE_PLACE = "\x00"


class PendingSeries:
    """One label set of one family, and what happened to it since the last seal.

    Args:
        schema: the family.
        text: the label text.

    What is added up is in `amounts`: a 1-based index into the packed line's numbers -> what is to be added there.
    What is set is in `value`, and `set_at` is when; None where it never was. `exemplars` has, by the same index,
    the newest exemplar and when it came. `observed` is what a native histogram has got, of `max_buckets` at most.
    `sealed_at` is when it was last part of a batch; None where it never was.
    """

    __slots__ = (
        "__weakref__",
        "amounts",
        "exemplars",
        "max_buckets",
        "observed",
        "schema",
        "sealed_at",
        "set_at",
        "text",
        "touched",
        "value",
        "weight",
    )

    def __init__(self, schema: Schema, text: str) -> None:
        self.schema = schema
        self.text = text
        self.amounts: defaultdict[int, float] = defaultdict(float)
        self.exemplars: dict[int, tuple[str, Moment]] = {}
        self.observed: NativeCounts | None = None
        self.max_buckets = 0
        self.value = "0.0"
        self.set_at: Moment | None = None
        self.sealed_at: Moment | None = None
        self.weight = 0.0
        self.touched = False
