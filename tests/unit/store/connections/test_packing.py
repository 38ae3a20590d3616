"""Commands as bytes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.connection import Connection

from lib.kairo_metrics.store.connections import packing

_WORDS = st.lists(st.one_of(st.text(), st.binary(), st.integers()))


@given(st.lists(_WORDS.map(lambda words: ("EVALSHA", *words)), min_size=1))
def test_the_server_gets_the_bytes_that_redis_py_sends(commands: list[tuple[str | bytes | int, ...]]) -> None:
    """Any words arrive as they would from redis-py, with hiredis and without."""
    connection: Any = Connection()  # type: ignore[no-untyped-call]
    expected = b"".join(connection.pack_commands(commands))
    assert b"".join(packing.packed(connection, commands)) == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "_pack", None)
        assert b"".join(packing.packed(connection, commands)) == expected
