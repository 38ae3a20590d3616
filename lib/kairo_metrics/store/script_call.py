"""Running a Lua script on the server: by its digest, and with its text where the server does not hold it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache, lru_cache
from hashlib import sha1
from typing import Any
from urllib.parse import urlsplit

from ..errors import StoreUnavailable, UnknownScript
from .command_flow import Command, CommandFlow

__all__ = ["RESEND_LIMIT_S", "call_script", "require_recent", "script_text", "supports_key_locking"]

# A command is sent a second time only this soon after the first. An instance may be frozen in between for so long that
# its writer's record has expired; the store could then not recognise a duplicate.
RESEND_LIMIT_S = 60.0
# Redis runs one text at a time, so the files that a script needs are joined.
_PARTS = {
    "apply.lua": (
        "plain.lua",
        "native.lua",
        "line.lua",
        "recovery.lua",
        "apply.lua",
        "compute.lua",
        "write.lua",
    )
}


def call_script(
    script: str, arguments: Command, wall_s: Callable[[], float] = time.time, *, key_locking: bool = False
) -> CommandFlow[Any]:
    """Run a script on the server, and send its text if the server does not hold it.

    Args:
        script: the file.
        arguments: the number of keys, the keys, and the script's arguments.
        wall_s: the wall clock, in seconds, which goes on while an instance is frozen.
        key_locking: whether the server is asked to lock only the script's keys.

    Raises:
        StoreUnavailable: it is too late to send the command again.
    """
    source, digest = _source(script, key_locking=key_locking)
    sent_s = wall_s()
    try:
        reply = yield ("EVALSHA", digest, *arguments)
    except UnknownScript as err:
        require_recent(sent_s, wall_s, err)
        try:
            reply = yield ("EVAL", source, *arguments)
        except StoreUnavailable as failure:
            failure.sent = failure.sent or err.sent
            raise
    return reply


def require_recent(sent_s: float, wall_s: Callable[[], float] = time.time, reason: Exception | None = None) -> None:
    """Check that it is not too late to send a command a second time.

    Args:
        sent_s: when it was sent first, by the wall clock, in seconds.
        wall_s: the wall clock.
        reason: the error that makes a second time necessary.

    Raises:
        StoreUnavailable: it is too late.
    """
    if wall_s() - sent_s > RESEND_LIMIT_S:
        # The client may have sent the command twice; then the reply is to the second one.
        raise StoreUnavailable("the instance was frozen while it waited for the reply", sent=True) from reason


@lru_cache(maxsize=16)
def supports_key_locking(redis_url: str | None) -> bool:
    """Tell whether the server can lock only a script's keys, as Upstash can.

    Otherwise a running script blocks all other commands of the database.

    Args:
        redis_url: the server's address.

    Example:
        >>> supports_key_locking("rediss://default:secret@eu1-calm-owl-1.upstash.io:6379")
        True
        >>> supports_key_locking("redis://127.0.0.1:6379")
        False
    """
    host = urlsplit(redis_url or "").hostname
    return host is not None and host.endswith(".upstash.io")


@cache
def script_text(script: str) -> bytes:
    """Return the text of a script, without its flags."""
    # This import is not part of the cold start: the first flush needs it, after its response.
    from importlib.resources import files

    return b"\n".join([files(__package__).joinpath("lua", part).read_bytes() for part in _PARTS.get(script, (script,))])


@cache
def _source(script: str, *, key_locking: bool) -> tuple[bytes, str]:
    # Other servers refuse the flag: Redis 7 does not know it, and Redis 6 cannot parse the line.
    source = (b"#!lua flags=allow-key-locking\n" if key_locking else b"") + script_text(script)
    return source, sha1(source, usedforsecurity=False).hexdigest()
