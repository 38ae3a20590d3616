"""How many shards a page reads after METRICS_SHARDS has changed."""

from __future__ import annotations

from typing import Any

import pytest

from lib.kairo_metrics.config.settings import Settings
from lib.kairo_metrics.errors import StoreRefused
from lib.kairo_metrics.store.shard_count import ShardCount, read_shard_count, renew_shard_count

NOW_MS = 1_764_000_000_000
SETTINGS = Settings(shards=6, series_ttl_s=800)


@pytest.mark.parametrize(
    "reply", [None, b"", b"6", b"six 1", b"6 -1", b"1025 1764000000000", StoreRefused("NOPERM"), 6]
)
def test_a_damaged_count_is_no_count(reply: Any) -> None:
    """A foreign value makes no page read thousands of shards, and breaks none."""
    assert read_shard_count(reply) == ShardCount()


def test_the_count_outlives_the_series() -> None:
    """The count is there for as long as the upper shards may have series."""
    command = renew_shard_count(SETTINGS, ShardCount(), NOW_MS)
    assert command is not None
    assert command[-2:] == ("PX", 900_000)
    assert read_shard_count(str(command[2]).encode()) == ShardCount(6, NOW_MS)


@pytest.mark.parametrize(
    ("shards", "count", "is_written"),
    [
        (1, ShardCount(), False),
        (6, ShardCount(), True),
        (6, ShardCount(6, NOW_MS - 99_999), False),
        (6, ShardCount(6, NOW_MS - 100_000), True),
        (6, ShardCount(6, NOW_MS + 1), True),
        (8, ShardCount(6, NOW_MS), True),
        (4, ShardCount(6, NOW_MS - 800_000), False),
    ],
)
def test_a_count_is_written_when_it_is_due(shards: int, count: ShardCount, is_written: bool) -> None:
    """One page in an eighth of a series' life writes; after METRICS_SHARDS is lowered, the old count runs out."""
    settings = Settings(shards=shards, series_ttl_s=800)
    assert (renew_shard_count(settings, count, NOW_MS) is not None) is is_written
