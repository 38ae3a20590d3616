"""The scripts as typed functions: what is asked to a command, a reply to its meaning."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache, lru_cache
from hashlib import sha1
from typing import Any
from urllib.parse import urlsplit

from ..config.settings import Settings
from ..errors import StoreRefused, StoreUnavailable, UnknownScript
from ..model.batch import Applied, Batch, Duplicate, Gap, Refused, State, Unannounced, Verdict, Writer
from ..model.delivery_metrics import OVERFLOWED
from ..model.encoding import label_text
from ..model.moment import Moment, elapsed_s
from ..model.schema import Schema
from .command_flow import Command, CommandFlow
from .keys import Keys

__all__ = ["SENT_AGAIN_WITHIN_S", "WRITER_LEASE_S", "apply", "ask", "load_script", "locks_keys", "script_text"]

# How long the store remembers a silent writer's last number.
WRITER_LEASE_S = 3600
# An instance that was frozen in the midst of it may wake up when its record is gone, and send nothing again blindly.
SENT_AGAIN_WITHIN_S = 60.0
# Redis runs one text at a time.
_PARTS = {"apply.lua": ("native.lua", "line.lua", "recovery.lua", "apply.lua")}


def apply(settings: Settings, writer: Writer, batch: Batch) -> CommandFlow[Verdict]:
    """Apply a batch in one command; one more if the server has forgotten the script.

    Raises:
        StoreRefused: the server answered with an error; nothing was written.
    """
    reply = yield from ask("apply.lua", _arguments(settings, writer, batch), key_locking=locks_keys(settings.redis_url))
    return _verdict(reply)


def ask(
    script: str, rest: Command, wall_s: Callable[[], float] = time.time, *, key_locking: bool = False
) -> CommandFlow[Any]:
    """Have the server run a script, sending it along if the server has forgotten it.

    Args:
        script: the file.
        rest: its keys and arguments.
        wall_s: the wall clock, which goes on while an instance is frozen.
        key_locking: whether the server is told to lock the script's keys only.

    Raises:
        StoreUnavailable: it is too late to send it again.
    """
    source, digest = _source(script, key_locking=key_locking)
    asked_s = wall_s()
    try:
        reply = yield ("EVALSHA", digest, *rest)
    except UnknownScript as err:
        if wall_s() - asked_s > SENT_AGAIN_WITHIN_S:
            # The link may have asked twice, and then not this answer is the one to the first.
            raise StoreUnavailable("the instance was frozen while it asked", sent=True) from err
        try:
            reply = yield ("EVAL", source, *rest)
        except StoreUnavailable as failure:
            failure.sent = failure.sent or err.sent
            raise
    return reply


def load_script() -> None:
    """Read the script that a flush runs, so that the first one finds it."""
    script_text("apply.lua")


@lru_cache(maxsize=16)
def locks_keys(redis_url: str | None) -> bool:
    """Tell whether the server locks no more than a script's keys when it is asked to: Upstash's do.

    Without that a script keeps all other commands of the database waiting.

    Args:
        redis_url: its address.

    Example:
        >>> locks_keys("rediss://default:secret@eu1-calm-owl-1.upstash.io:6379"), locks_keys("redis://127.0.0.1:6379")
        (True, False)
    """
    host = urlsplit(redis_url or "").hostname
    return host is not None and host.endswith(".upstash.io")


@cache
def _source(script: str, *, key_locking: bool) -> tuple[bytes, str]:
    # To any other server the flag is unknown, which is an error, and to Redis 6 the whole line is one.
    source = (b"#!lua flags=allow-key-locking\n" if key_locking else b"") + script_text(script)
    return source, sha1(source, usedforsecurity=False).hexdigest()


@cache
def script_text(script: str) -> bytes:
    """Return the text of a script, without its flags."""
    # The first flush pays for this import, after its response, and not the cold start.
    from importlib.resources import files

    return b"\n".join([files(__package__).joinpath("lua", part).read_bytes() for part in _PARTS.get(script, (script,))])


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
        batch.makes_good if batch.restores is None else f"restores {batch.restores}",
    ]
    for delta in batch.families:
        arguments += (_header(delta.schema), delta.metadata, len(delta.cleared), *delta.cleared, len(delta.series))
        for series in delta.series:
            arguments += series
    return tuple(arguments)


@lru_cache(maxsize=4096)
def _header(schema: Schema) -> str:
    """Print what does not change from batch to batch; label text holds no raw newline."""
    # That a store is full of exemplars is no loss.
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
