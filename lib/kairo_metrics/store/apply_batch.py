"""Applying a batch with `apply.lua`: the arguments of the script, and the verdict in its reply."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

from ..config.settings import Settings
from ..errors import StoreRefused, StoreUnavailable
from ..model.batch import (
    WRITER_LEASE_S,
    Applied,
    Batch,
    Duplicate,
    Gap,
    Refused,
    State,
    Unannounced,
    Verdict,
    Writer,
)
from ..model.delivery_metrics import BATCHES, OVERFLOWED
from ..model.encoding import label_text
from ..model.moment import Moment, elapsed_s
from ..model.schema import Schema
from .command_flow import Command, CommandFlow
from .keys import Keys
from .script_call import call_script, require_recent, script_text, supports_key_locking

__all__ = ["Session", "apply_batch", "load_script"]


class Session:
    """What a store remembers from one batch to the next, so that batches are shorter.

    Attributes:
        full_families: the index fields of families that had no room. Most never fill up, so batches need not tell how
            they overflow.
        last_applied: the writer, the number and the state of the last batch that was applied. The writer's record in
            Redis has that state, too, so the next batch need not name it.
    """

    __slots__ = ("full_families", "last_applied")

    def __init__(self) -> None:
        self.full_families: set[str] = set()
        self.last_applied: tuple[str, int, State] | None = None


def apply_batch(
    settings: Settings, writer: Writer, batch: Batch, session: Session | None = None
) -> CommandFlow[Verdict]:
    """Apply a batch in one command; in two if the server does not hold the script, or a family is full for once.

    Args:
        settings: the namespace and the limits.
        writer: who sends it.
        batch: the batch.
        session: that of the store; None remembers nothing.

    Raises:
        StoreRefused: the server answered with an error; nothing was written.
        StoreUnavailable: there was no answer.
    """
    session = session or Session()
    key_locking = supports_key_locking(settings.redis_url)
    sent_s = time.time()
    reply = yield from call_script("apply.lua", _arguments(settings, writer, batch, session), key_locking=key_locking)
    if isinstance(reply, list) and reply[0] == b"full":
        session.full_families.update(batch.families[position - 1].schema.index_field for position in reply[1:])
        require_recent(sent_s)
        try:
            again = _arguments(settings, writer, batch, session)
            reply = yield from call_script("apply.lua", again, key_locking=key_locking)
        except StoreUnavailable as failure:
            failure.sent = True  # a copy of the first command may still be on its way
            raise
    verdict = _verdict(reply)
    if isinstance(verdict, Applied):
        session.last_applied = writer.id, batch.seq, verdict.state
    return verdict


def load_script() -> None:
    """Read the script's files before the first flush needs them."""
    script_text("apply.lua")


def _arguments(settings: Settings, writer: Writer, batch: Batch, session: Session) -> Command:
    """Lay out keys and arguments as the script's header says."""
    keys = Keys(settings.namespace, writer.shard)
    all_keys, shape_codes, are_added_up = _laid_out(keys, writer.id, tuple([delta.schema for delta in batch.families]))
    is_plain = are_added_up and batch.restores is None and not batch.replaces
    further = str(settings.max_series)
    if not is_plain:
        age_ms = int(elapsed_s(batch.sealed_at, Moment.read()) * 1000)
        restores = "" if batch.restores is None else f" restores {batch.restores}"
        further += f" {age_ms} {batch.replaces}{restores}"
    known = batch.known
    is_known = session.last_applied == (writer.id, batch.seq - 1, known)
    arguments = [
        str(batch.seq),
        str(settings.series_ttl_s * 1000),
        str(WRITER_LEASE_S * 1000),
        "" if is_known else f"{known.incarnation} {known.batches}" if known.incarnation else "-",
        further,
    ]
    overflows = False
    for delta, shape_code in zip(batch.families, shape_codes, strict=True):
        schema = delta.schema
        is_full = bool(delta.metadata) or schema.index_field in session.full_families
        if is_full or delta.cleared or len(delta.series) != 1:
            head = f"{shape_code} {len(delta.series)}"
            if is_full or delta.cleared:
                head += f" {len(delta.cleared)} {bool(delta.metadata):d} {is_full:d}"
            arguments.append(head)
            if delta.metadata:
                arguments.append(delta.metadata)
            if is_full:
                overflows = True
                arguments += schema.overflow_text, _counted_as(schema)
            arguments += delta.cleared
        else:
            arguments.append(shape_code)
        for series in delta.series:
            arguments += series
    if overflows:
        all_keys += (keys.series(OVERFLOWED),)
    return (len(all_keys), *all_keys, *arguments)


# An instance sends the same families again and again, to one shard.
@lru_cache(maxsize=256)
def _laid_out(keys: Keys, writer_id: str, schemas: tuple[Schema, ...]) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """Return the keys of a batch, the shapes of its families, and whether all of them are added up."""
    shared = keys.writer(writer_id), keys.families, keys.series(BATCHES)
    return (
        (*shared, *map(keys.series, schemas)),
        tuple(map(_shape_code, schemas)),
        all(schema.rule == "sum" for schema in schemas),
    )


def _shape_code(schema: Schema) -> str:
    """Print the shape of a family's lines: that of a histogram, which is long, as its number of buckets."""
    shape = schema.shape
    return f"a{len(shape) - 1}" if shape == "a" + "w" * (len(shape) - 1) else shape


@lru_cache(maxsize=4096)
def _counted_as(schema: Schema) -> str:
    """Print the labels under which overflowed updates of a family are counted, if they are."""
    # Exemplars that overflow are not counted: no sample is lost.
    return "" if schema.type == "exemplars" else label_text(OVERFLOWED.labelnames, [schema.name])


def _verdict(reply: Any) -> Verdict:
    # Nearly all are of this kind; to match a pattern takes twice as long.
    if isinstance(reply, list) and len(reply) > 1 and reply[0] == b"applied":
        return Applied(_state(reply[1]), tuple([int(position) - 1 for position in reply[2:]]))
    match reply:
        case [b"duplicate", bytes(state)]:
            return Duplicate(_state(state))
        case [b"gap", int(expected), bytes(state)]:
            return Gap(expected, _state(state))
        case [b"unannounced", *positions]:
            return Unannounced(tuple(int(position) - 1 for position in positions))
        case [b"refused", *positions]:
            return Refused(tuple(int(position) - 1 for position in positions))
    raise StoreRefused(f"the script answered {reply!r}, which this version does not know")


def _state(text: bytes) -> State:
    incarnation, _, batches = text.decode().partition(" ")
    return State(incarnation, int(batches))
