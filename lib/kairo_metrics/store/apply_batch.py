"""Applying a batch with `apply.lua`: the arguments of the script, and the verdict in its reply."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ..config.settings import Settings
from ..errors import StoreRefused
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
from ..model.delivery_metrics import OVERFLOWED
from ..model.encoding import label_text
from ..model.moment import Moment, elapsed_s
from ..model.schema import Schema
from .command_flow import Command, CommandFlow
from .keys import Keys
from .script_call import call_script, script_text, supports_key_locking

__all__ = ["apply_batch", "load_script"]


def apply_batch(settings: Settings, writer: Writer, batch: Batch) -> CommandFlow[Verdict]:
    """Apply a batch in one command, or in two if the server does not hold the script.

    Raises:
        StoreRefused: the server answered with an error; nothing was written.
    """
    arguments = _arguments(settings, writer, batch)
    reply = yield from call_script("apply.lua", arguments, key_locking=supports_key_locking(settings.redis_url))
    return _verdict(reply)


def load_script() -> None:
    """Read the script's files before the first flush needs them."""
    script_text("apply.lua")


def _arguments(settings: Settings, writer: Writer, batch: Batch) -> Command:
    """Lay out keys and arguments as the script's header says."""
    keys = Keys(settings.namespace, writer.shard)
    arguments: list[str | int] = [
        3 + len(batch.families),
        keys.writer(writer.id),
        keys.families,
        keys.series(OVERFLOWED),
        *[keys.series(delta.schema) for delta in batch.families],
        batch.seq,
        WRITER_LEASE_S * 1000,
        settings.series_ttl_s * 1000,
        settings.max_series,
        int(elapsed_s(batch.sealed_at, Moment.read()) * 1000),
        writer.id,
        f"{batch.known.incarnation} {batch.known.batches}" if batch.known.incarnation else "",
        batch.replaces if batch.restores is None else f"restores {batch.restores}",
    ]
    for delta in batch.families:
        arguments += (_header(delta.schema), delta.metadata, len(delta.cleared), *delta.cleared, len(delta.series))
        for series in delta.series:
            arguments += series
    return tuple(arguments)


@lru_cache(maxsize=4096)
def _header(schema: Schema) -> str:
    """Print a family's header, which is the same in every batch; label text holds no raw newline."""
    # Exemplars that overflow are not counted: no sample is lost.
    counted_as = "" if schema.type == "exemplars" else label_text(OVERFLOWED.labelnames, [schema.name])
    return f"{schema.index_field}\n{schema.rule}\n{schema.shape}\n{schema.overflow_text}\n{counted_as}"


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
