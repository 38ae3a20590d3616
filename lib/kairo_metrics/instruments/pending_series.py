"""The unsent part of one series of this instance, and the series that belongs to an instrument's labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from ..model.encoding import label_text, printable
from ..model.moment import Moment
from ..model.schema import INSTANCE_LABEL, Schema

if TYPE_CHECKING:
    from ..model.native_counts import NativeCounts

__all__ = ["INSTANCE_PLACE", "PendingSeries", "listed", "new_series", "schema_of"]

T = TypeVar("T")

# Stands for the instance's id in the label text of a series that only this instance writes; no label text holds it.
INSTANCE_PLACE = "\x00"

_schemas: dict[tuple[Any, ...], Schema] = {}


class PendingSeries:
    """One label set of one family, and what was recorded for it since the last seal.

    Args:
        schema: the family.
        text: the label text.

    Attributes:
        amounts: what was added, by the 1-based index of a number in the packed line.
        value: what was set last, as text.
        set_at: when it was set, as a `Moment` without its names; None if it was never set.
        exemplars: the newest exemplar of each number, by the same index, and when it came.
        observed: what a native histogram has observed.
        max_buckets: how many buckets `observed` may have.
        weight: increments, observations and settings: what is counted as lost if they can't be delivered.
        sealed_at: when the series was last part of a batch; None if it never was.
        touched: whether the recorder has the series for the next batch.
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
        self.exemplars: dict[int, tuple[str, tuple[float, float]]] = {}
        self.observed: NativeCounts | None = None
        self.max_buckets = 0
        self.value = "0.0"
        self.set_at: tuple[float, float] | None = None
        self.sealed_at: Moment | None = None
        self.weight = 0.0
        self.touched = False

    def split_off(self) -> PendingSeries:
        """Move what is not sent into a new series with the same labels, and return it; a value that was set stays."""
        unsent = PendingSeries(self.schema, self.text)
        unsent.value, unsent.set_at, unsent.max_buckets = self.value, self.set_at, self.max_buckets
        self.touched = False
        unsent.amounts, self.amounts = self.amounts, defaultdict(float)
        unsent.exemplars, self.exemplars = self.exemplars, {}
        unsent.observed, self.observed = self.observed, None
        unsent.weight, self.weight = self.weight, 0.0
        return unsent


def schema_of(  # noqa: PLR0913  a schema has that many parts
    name: str,
    typ: str,
    labelnames: Sequence[str],
    help_text: str,
    *,
    bounds: tuple[str, ...] = (),
    mode: str = "",
    states: tuple[str, ...] = (),
    unit: str = "",
) -> Schema:
    """Return the schema with these parts; the same object each time, so that only the first child computes its id."""
    key = (name, typ, tuple(labelnames), bounds, mode, states, help_text, unit)
    schema = _schemas.get(key)
    if schema is None:
        schema = Schema(
            printable(name), typ, tuple(sorted(labelnames)), bounds, mode, states, help=help_text, unit=unit
        )
        _schemas[key] = schema
    return schema


def new_series(schema: Schema, labelnames: Sequence[str], labelvalues: Sequence[str]) -> PendingSeries:
    """Return a new series with these labels; the seal puts in the instance's id."""
    labels = dict(zip(labelnames, labelvalues, strict=True))
    text = label_text(schema.labelnames, [labels.get(name, "") for name in schema.labelnames])
    if schema.per_instance:
        text = text.replace(f'{INSTANCE_LABEL}=""', f'{INSTANCE_LABEL}="{INSTANCE_PLACE}"')
    return PendingSeries(schema, text)


def listed(members: Iterable[T], limit: int | None = None) -> list[T]:
    """Copy the first members of a collection. A signal handler may change it meanwhile; then it is copied again."""
    while True:
        try:
            return list(islice(members, limit))
        except RuntimeError:
            continue
