"""How many shards there were: when METRICS_SHARDS is lowered, what was counted in the upper ones is still on the page.

The first shard has a key for that, "<shards> <ms>". Scrapes write it where there is more than one shard, and again
when an eighth of a series' life has passed. It lives for an eighth longer than a series, and so outlives what is in the
upper shards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ..config.settings import Settings
from .command_flow import Command
from .keys import Keys

__all__ = ["ShardCount", "read_shard_count", "remember"]

_TEXT = re.compile(rb"([0-9]{1,4}) ([0-9]{1,15})")
_MOST = 1024


@dataclass(frozen=True, slots=True)
class ShardCount:
    """What a scrape has found.

    Args:
        shards: how many there were; 0 if nobody has said.
        said_ms: when somebody said so last, by the server's clock.
    """

    shards: int = 0
    said_ms: int = 0


def read_shard_count(reply: Any) -> ShardCount:
    """Read the reply to `GET`; what is foreign or may not be read says nothing.

    Example:
        >>> read_shard_count(b"6 1764000000000").shards, read_shard_count(None).shards
        (6, 0)
    """
    found = _TEXT.fullmatch(reply) if isinstance(reply, bytes) else None
    if found is None or int(found[1]) > _MOST:
        return ShardCount()
    return ShardCount(int(found[1]), int(found[2]))


def remember(settings: Settings, count: ShardCount, now_ms: int) -> Command | None:
    """Return the command that says how many there are, where it is time to say so.

    Args:
        settings: the shards, and the life of a series.
        count: what was said before.
        now_ms: the server's clock.

    Example:
        >>> settings = Settings(shards=6, series_ttl_s=800)
        >>> remember(settings, ShardCount(), 1_764_000_000_000)
        ('SET', 'kairo:v1:{development/0}:shards', '6 1764000000000', 'PX', 900000)
        >>> remember(settings, ShardCount(6, 1_763_999_950_000), 1_764_000_000_000) is None
        True
    """
    life_ms = settings.series_ttl_s * 1000
    if settings.shards == 1 or settings.shards < count.shards:
        return None
    if settings.shards == count.shards and 0 <= now_ms - count.said_ms < life_ms // 8:
        return None
    return ("SET", Keys(settings.namespace, 0).shards, f"{settings.shards} {now_ms}", "PX", life_ms * 9 // 8)
