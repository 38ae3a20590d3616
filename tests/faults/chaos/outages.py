"""An outage of the store in real time: how long requests wait, and when the store is found again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.chaos.lab import Lab

__all__ = ["away_black_hole", "away_flapping", "away_packets_dropped", "away_refusing", "away_slow"]

_AWAY_S = 8.0
_PAUSE_S = 0.02
_FOUND_WITHIN_S = 5.0
_SLOW_MS = 1_000
# A shorter time is no wait for the store.
_WAITED_S = 0.02
_GIVEN_UP_S = 60.0


@dataclass(slots=True)
class _Costs:
    """The time in seconds that each request took after its response."""

    seconds: list[float] = field(default_factory=list)

    async def request(self, lab: Lab) -> None:
        instance = lab.instances[0]
        instance.record()
        began_s = time.perf_counter()
        await instance.flusher.after_response()
        self.seconds.append(time.perf_counter() - began_s)
        await asyncio.sleep(_PAUSE_S)


def _away(lab: Lab, leave: Callable[[Lab], None], come_back: Callable[[Lab], None]) -> None:
    """Let the store fail and come back, once with requests afterwards and once without.

    Args:
        lab: the setup.
        leave: begins the outage; called repeatedly until the outage is over.
        come_back: ends the outage.
    """
    costs, found_s = _Costs(), []

    async def one(*, with_requests: bool) -> None:
        instance = lab.instances[0]
        await instance.flusher.aflush()
        began_s = time.monotonic()
        while time.monotonic() < began_s + _AWAY_S:
            leave(lab)
            await costs.request(lab)
        # In a thread, since the proxy waits for its own threads.
        await asyncio.to_thread(come_back, lab)
        began_s = time.monotonic()
        after = _Costs()
        while instance.flusher.pending and time.monotonic() < began_s + _GIVEN_UP_S:
            await (after.request(lab) if with_requests else asyncio.sleep(_PAUSE_S))
        found_s.append(time.monotonic() - began_s)

    for with_requests in (True, False):
        lab.run(one(with_requests=with_requests))
        lab.tick(len(found_s) / 2)
    waited = [seconds for seconds in costs.seconds if seconds > _WAITED_S]
    budget_s = lab.settings.flush_budget_ms / 1000
    lab.books.facts += [
        f"{len(waited)} of {len(costs.seconds)} requests waited, {max(costs.seconds) * 1e3:,.0f} ms at most",
        f"found again in {found_s[0]:.1f} s, without requests in {found_s[1]:.1f} s",
    ]
    if max(found_s) > _FOUND_WITHIN_S:
        lab.books.wrong.append(f"found again after {max(found_s):.1f} s")
    if max(costs.seconds) > 2 * budget_s:  # allows for a busy machine
        lab.books.wrong.append(f"a request waited {max(costs.seconds):.1f} s")


def _back(lab: Lab) -> None:
    lab.proxy.black_hole = False
    lab.proxy.reply_delay_ms = 0
    lab.proxy.listen()


def away_black_hole(lab: Lab) -> None:
    """Redis accepts connections and never answers."""

    def leave(lab: Lab) -> None:
        lab.proxy.black_hole = True

    _away(lab, leave, _back)


def away_refusing(lab: Lab) -> None:
    """Redis refuses connections."""

    def leave(lab: Lab) -> None:
        lab.proxy.refuse()
        lab.proxy.cut()

    _away(lab, leave, _back)


def away_packets_dropped(lab: Lab) -> None:
    """Packets of new connections vanish."""

    def leave(lab: Lab) -> None:
        if not lab.proxy.is_deaf:
            lab.proxy.deafen()
            lab.proxy.cut()

    _away(lab, leave, _back)


def away_slow(lab: Lab) -> None:
    """Each reply takes a second."""

    def leave(lab: Lab) -> None:
        lab.proxy.reply_delay_ms = _SLOW_MS

    _away(lab, leave, _back)


def away_flapping(lab: Lab) -> None:
    """Redis becomes unreachable and reachable again, in a different way each time."""

    def leave(lab: Lab) -> None:
        if lab.chance.random() < 0.05:
            lab.proxy.black_hole = lab.chance.random() < 0.5
            if lab.chance.random() < 0.5:
                lab.proxy.cut()

    _away(lab, leave, _back)
