"""What the tests of faults share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.redis_process import RedisProcess


@pytest.fixture
def redis_process(tmp_path: Path) -> Iterator[RedisProcess]:
    """Give a Redis of the test's own, which can be killed."""
    folder = tmp_path / "redis"
    folder.mkdir()
    process = RedisProcess(folder)
    yield process
    process.close()
