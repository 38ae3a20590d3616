"""How many shards hold series: after METRICS_SHARDS is lowered, the page still shows those in the upper shards.

The first shard has a key for that, "<shards> <ms>". Scrapes write it if there is more than one shard, and again when an
eighth of a series' life has passed. It lives for an eighth longer than a series, and so outlives them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ..config.settings import Settings
from .command_flow import Command
from .keys import Keys

__all__ = ["ShardCount", "read_shard_count", "renew_shard_count"]

_TEXT = re.compile(rb"([0-9]{1,4}) ([0-9]{1,15})")
_MAX_SHARDS = 1024


@dataclass(frozen=True, slots=True)
class ShardCount:
    """The count that is stored.

    Args:
        shards: how many there are; 0 if none is stored.
        written_ms: when it was written last, by the server's clock, in ms since 1970.
    """

    shards: int = 0
    written_ms: int = 0


def read_shard_count(reply: Any) -> ShardCount:
    """Read the reply to `GET`; an error or a foreign value is read as no count.

    Example:
        >>> read_shard_count(b"6 1764000000000").shards, read_shard_count(None).shards
        (6, 0)
    """
    match = _TEXT.fullmatch(reply) if isinstance(reply, bytes) else None
    if match is None or int(match[1]) > _MAX_SHARDS:
        return ShardCount()
    return ShardCount(int(match[1]), int(match[2]))


def renew_shard_count(settings: Settings, count: ShardCount, now_ms: int) -> Command | None:
    """Return the command that writes the count, or None if the stored count is recent.

    Args:
        settings: the shards, and the life of a series.
        count: the stored count.
        now_ms: the server's clock, in ms since 1970.

    Example:
        >>> settings = Settings(shards=6, series_ttl_s=800)
        >>> renew_shard_count(settings, ShardCount(), 1_764_000_000_000)
        ('SET', 'kairo:v1:{development/0}:shards', '6 1764000000000', 'PX', 900000)
        >>> renew_shard_count(settings, ShardCount(6, 1_763_999_950_000), 1_764_000_000_000) is None
        True
    """
    life_ms = settings.series_ttl_s * 1000
    if settings.shards == 1 or settings.shards < count.shards:
        return None
    if settings.shards == count.shards and 0 <= now_ms - count.written_ms < life_ms // 8:
        return None
    return ("SET", Keys(settings.namespace, 0).shards, f"{settings.shards} {now_ms}", "PX", life_ms * 9 // 8)
