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
    schemas = tuple([delta.schema for delta in batch.families])
    family_keys = _keys_of(keys, schemas)
    is_plain = batch.restores is None and not batch.replaces and _are_added_up(schemas)
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
    for delta in batch.families:
        schema = delta.schema
        is_full = bool(delta.metadata) or schema.index_field in session.full_families
        if is_full or delta.cleared or len(delta.series) != 1:
            head = f"{_shape_code(schema)} {len(delta.series)}"
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
            arguments.append(_shape_code(schema))
        for series in delta.series:
            arguments += series
    if overflows:
        family_keys += (keys.series(OVERFLOWED),)
    shared = keys.writer(writer.id), *_shared_keys(keys)
    return (len(shared) + len(family_keys), *shared, *family_keys, *arguments)


# An instance sends the same families again and again, to one shard.
@lru_cache(maxsize=256)
def _keys_of(keys: Keys, schemas: tuple[Schema, ...]) -> tuple[str, ...]:
    return tuple([keys.series(schema) for schema in schemas])


@lru_cache(maxsize=256)
def _are_added_up(schemas: tuple[Schema, ...]) -> bool:
    return all(schema.rule == "sum" for schema in schemas)


@lru_cache(maxsize=256)
def _shared_keys(keys: Keys) -> tuple[str, str]:
    return keys.families, keys.series(BATCHES)


@lru_cache(maxsize=4096)
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
    match reply:
        case [b"applied", bytes(state), *positions]:
            return Applied(_state(state), tuple(int(position) - 1 for position in positions))
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
