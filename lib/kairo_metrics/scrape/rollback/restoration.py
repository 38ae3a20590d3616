"""What a store lost for good, and a page had shown: written back in numbered batches."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from secrets import token_hex
from typing import TYPE_CHECKING

from ...model.batch import Applied, Batch, Duplicate, FamilyDelta, Refused, State, Writer
from ...model.delivery_metrics import BATCHES, RESTORED
from ...model.encoding import SeriesNumbers, label_text, number_text
from ...model.labels import label_pairs
from ...model.recovery import Recovery
from ...model.schema import Schema
from ...store.command_flow import CommandFlow

if TYPE_CHECKING:
    from ...store.protocol import Store

__all__ = ["restore"]

_SERIES_PER_BATCH = 1_000
# More than any histogram has, so that nothing is made coarser. The instances' own limits apply to their next batches.
_NATIVE_BUCKETS_AT_MOST = 1_000_000_000


def restore(
    store: Store, shard: int, known: State, recovery: Recovery | None, missing: Mapping[Schema, SeriesNumbers]
) -> CommandFlow[None]:
    """Add what is missing to what a shard holds, if it did go back, and nobody has added any of it since it was read.

    Of two who do this at once, the store takes what comes second for no news; there is a next page.

    Args:
        store: the store that lost it.
        shard: the one that went back.
        known: its state as it was before.
        recovery: the account as it was read together with what is there.
        missing: lines to be added, by family.

    Raises:
        StoreError: it could not be written; to try again is safe.
    """
    writer = Writer(f"restores-{token_hex(8)}", shard)
    series = _series(missing)
    seq = 0
    while part := list(islice(series, _SERIES_PER_BATCH)):
        seq += 1
        batch = Batch(seq, _families(part), time.monotonic(), known, restores=recovery.account if recovery else "")
        verdict = yield from store.apply(writer, batch)
        if isinstance(verdict, Refused):  # what can't be written, the page adds for as long as its function remembers
            kept = (delta for position, delta in enumerate(batch.families) if position not in verdict.positions)
            verdict = yield from store.apply(writer, replace(batch, families=tuple(kept)))
        if not isinstance(verdict, Applied | Duplicate):
            return


def _counted(missing: Mapping[Schema, SeriesNumbers]) -> dict[Schema, SeriesNumbers]:
    """Leave out what has no place, and add how much there is of each family; no less than was told before."""
    placed = {
        schema: {text: row for text, row in lines.items() if _fits(schema, text)} for schema, lines in missing.items()
    }
    told = placed.pop(RESTORED, {})
    for schema, lines in placed.items():
        text = label_text(RESTORED.labelnames, [schema.name]).encode()
        weight = sum(_weight(schema, numbers) for numbers in lines.values())
        told[text] = number_text(max(weight, float(told.get(text, 0)))).encode()
    return {**placed, RESTORED: told}


def _fits(schema: Schema, text: bytes) -> bool:
    """Tell whether a row has these labels; those of an older schema, with others, have no place under this one."""
    return tuple(name for name, _ in label_pairs(text.decode())) == schema.labelnames


def _series(missing: Mapping[Schema, SeriesNumbers]) -> Iterator[tuple[Schema, str, bytes]]:
    for schema, lines in _counted(missing).items():
        for text, numbers in sorted(lines.items()):
            yield schema, text.decode(), numbers


def _families(part: Sequence[tuple[Schema, str, bytes]]) -> tuple[FamilyDelta, ...]:
    found: dict[Schema, list[tuple[str, str]]] = {BATCHES: [(label_text(BATCHES.labelnames, ["applied"]), "1 1")]}
    for schema, text, numbers in part:
        found.setdefault(schema, []).append((text, _delta(schema, numbers)))
    return tuple(FamilyDelta(schema, tuple(series), 0.0, schema.metadata()) for schema, series in found.items())


def _delta(schema: Schema, numbers: bytes) -> str:
    """Print a row as what is to be added, as `apply.lua` reads it."""
    if schema.rule == "native":
        return f"{_NATIVE_BUCKETS_AT_MOST} {numbers.decode()}"
    return " ".join(f"{place} {word}" for place, word in enumerate(numbers.decode().split(), start=1))


def _weight(schema: Schema, numbers: bytes) -> float:
    """Return how many increments or observations are in a row."""
    words = numbers.split()
    match schema.type:
        case "counter" | "summary":
            return float(words[0])
        case "native":
            return float(words[1])
    return float(sum(map(int, words[1:])))
