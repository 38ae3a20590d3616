"""The restoration of what a store lost for good: numbers that a page has shown, written back in numbered batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from secrets import token_hex
from typing import TYPE_CHECKING

from ...model.batch import Applied, Batch, Duplicate, FamilyDelta, Refused, State, Writer
from ...model.delivery_metrics import BATCHES, RESTORED
from ...model.encoding import SeriesNumbers, label_text, number_text
from ...model.labels import label_pairs
from ...model.moment import Moment
from ...model.recovery import Recovery
from ...model.schema import Schema
from ...store.command_flow import CommandFlow

if TYPE_CHECKING:
    from ...store.store_interface import Store

__all__ = ["restore"]

_SERIES_PER_BATCH = 1_000
# More than any histogram has, so that nothing is made coarser. The instances' own limits apply to their next batches.
_NATIVE_BUCKETS_AT_MOST = 1_000_000_000


def restore(
    store: Store, shard: int, known: State, recovery: Recovery | None, missing: Mapping[Schema, SeriesNumbers]
) -> CommandFlow[None]:
    """Add what is missing to a shard, if the shard went back and nothing of it was added since it was read.

    If two processes do this at once, the store answers the second one that its batch is a duplicate, and adds nothing.

    Args:
        store: the store that lost it.
        shard: the shard that went back.
        known: the state of the shard before.
        recovery: the account of the recovery, as it was read together with the series.
        missing: numbers to be added, by family.

    Raises:
        StoreError: it could not be written. It is safe to try again.
    """
    writer = Writer(f"restores-{token_hex(8)}", shard)
    series = _series(missing)
    seq = 0
    while part := list(islice(series, _SERIES_PER_BATCH)):
        seq += 1
        batch = Batch(seq, _families(part), Moment.read(), known, restores=recovery.account if recovery else "")
        verdict = yield from store.apply(writer, batch)
        if isinstance(verdict, Refused):  # the reader goes on adding to its pages what can't be written
            kept = (delta for position, delta in enumerate(batch.families) if position not in verdict.positions)
            verdict = yield from store.apply(writer, batch._replace(families=tuple(kept)))
        if not isinstance(verdict, Applied | Duplicate):
            return


def _counted(missing: Mapping[Schema, SeriesNumbers]) -> dict[Schema, SeriesNumbers]:
    """Leave out series that can't be written, and count the others by family: at least as much as a page showed."""
    placed = {
        schema: {text: row for text, row in lines.items() if _fits(schema, text)} for schema, lines in missing.items()
    }
    restored = placed.pop(RESTORED, {})
    for schema, lines in placed.items():
        text = label_text(RESTORED.labelnames, [schema.name]).encode()
        weight = sum(_weight(schema, numbers) for numbers in lines.values())
        restored[text] = number_text(max(weight, float(restored.get(text, 0)))).encode()
    return {**placed, RESTORED: restored}


def _fits(schema: Schema, text: bytes) -> bool:
    """Tell whether a series has the labels of the schema. Series of an older schema may have other labels."""
    return tuple(name for name, _ in label_pairs(text.decode())) == schema.labelnames


def _series(missing: Mapping[Schema, SeriesNumbers]) -> Iterator[tuple[Schema, str, bytes]]:
    for schema, lines in _counted(missing).items():
        for text, numbers in sorted(lines.items()):
            yield schema, text.decode(), numbers


def _families(part: Sequence[tuple[Schema, str, bytes]]) -> tuple[FamilyDelta, ...]:
    found: dict[Schema, list[tuple[str, str]]] = {BATCHES: []}
    for schema, text, numbers in part:
        found.setdefault(schema, []).append((text, _delta(schema, numbers)))
    return tuple(FamilyDelta(schema, tuple(series), 0.0, schema.metadata()) for schema, series in found.items())


def _delta(schema: Schema, numbers: bytes) -> str:
    """Print numbers as a delta that `apply.lua` reads."""
    if schema.rule == "native":
        return f"{_NATIVE_BUCKETS_AT_MOST} {numbers.decode()}"
    return " ".join(f"{place} {word}" for place, word in enumerate(numbers.decode().split(), start=1))


def _weight(schema: Schema, numbers: bytes) -> float:
    """Return how many increments or observations the numbers hold."""
    words = numbers.split()
    match schema.type:
        case "counter" | "summary":
            return float(words[0])
        case "native":
            return float(words[1])
    return float(sum(map(int, words[1:])))
