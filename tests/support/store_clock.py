"""The clock of a real Redis can't be set: make what is stored older, or wait for the clock."""

from __future__ import annotations

import time
from typing import Any

__all__ = ["age_state", "wait_for_ticks"]


def age_state(client: Any, by_ms: int) -> None:  # redis-py types replies as bytes or str
    """Make every stored series and every entry of the families index older.

    Args:
        client: a client of redis-py.
        by_ms: the milliseconds.
    """
    for key in client.keys("*:series:*"):
        for text, line in client.hgetall(key).items():
            *numbers, created, touched = line.split()
            times = [b"%013d" % (int(moment) - by_ms) for moment in (created, touched)]
            client.hset(key, text, b" ".join([*numbers, *times]))
    for key in client.keys("*:families"):
        for name, entry in client.hgetall(key).items():
            if b" " in name:
                created, announced, metadata = entry.split(b" ", 2)
                aged = b"%d %d %b" % (int(created) - by_ms, int(announced) - by_ms, metadata)
                client.hset(key, name, aged)


def wait_for_ticks(client: Any = None, milliseconds: int = 5) -> None:
    """Return when the server's clock, or without a client this machine's, is some milliseconds later.

    So the times of what is stored before and after differ, in this order.
    """

    def now_ms() -> int:
        if client is None:
            return int(time.time() * 1000)
        seconds, microseconds = client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    began_ms = now_ms()
    while now_ms() < began_ms + milliseconds:
        pass
