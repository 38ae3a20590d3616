"""Faults of the network."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Literal

from tests.faults.chaos.lab import Lab

__all__ = [
    "black_hole",
    "closed_while_idle",
    "flapping",
    "half_open_while_idle",
    "packets_dropped",
    "refusing",
    "reply_lost",
    "reply_lost_in_silence",
    "reply_lost_then_refused",
    "reply_too_late",
    "request_lost",
    "request_lost_in_silence",
    "request_too_late",
]

_BATCH = b"EVAL"


def _times(lab: Lab, quick: int, thorough: int) -> range:
    return range(thorough if lab.thorough else quick)


def _lose(lab: Lab, times: range, lose: Callable[[], None]) -> None:
    lab.rounds()
    for _ in times:
        lose()
        lab.rounds()
        assert not lab.proxy.loss_is_pending


def reply_lost(lab: Lab) -> None:
    """The script ran, its reply was lost, and the connection was cut."""
    _lose(lab, _times(lab, 20, 500), partial(lab.proxy.lose_reply, to=_BATCH))


def reply_lost_in_silence(lab: Lab) -> None:
    """The script ran, its reply was lost, and the connection hangs until the budget is spent."""
    _lose(lab, _times(lab, 2, 20), partial(lab.proxy.lose_reply, to=_BATCH, then_cut=False))


def reply_lost_then_refused(lab: Lab) -> None:
    """The script ran, its reply was lost, and new connections are refused for a while."""
    lab.rounds()
    for _ in _times(lab, 10, 200):
        instance = lab.chosen
        lab.proxy.lose_reply(to=_BATCH)
        lab.proxy.refuse()
        instance.record()
        assert not instance.flush()
        instance.record()
        assert not instance.flush()
        lab.proxy.listen()
        instance.deliver()


def request_lost(lab: Lab) -> None:
    """The script never ran, and the connection was cut."""
    _lose(lab, _times(lab, 20, 500), partial(lab.proxy.lose_request, of=_BATCH))


def request_lost_in_silence(lab: Lab) -> None:
    """The script never ran, and the connection hangs until the budget is spent."""
    _lose(lab, _times(lab, 2, 20), partial(lab.proxy.lose_request, of=_BATCH, then_cut=False))


def closed_while_idle(lab: Lab) -> None:
    """The server closes the connections between two flushes."""
    for _ in _times(lab, 10, 200):
        lab.rounds()
        lab.server.client.client_kill_filter(_type="normal", skipme=True)


def half_open_while_idle(lab: Lab) -> None:
    """The connections vanish between two flushes, and no instance notices."""
    for _ in _times(lab, 10, 200):
        lab.rounds()
        lab.proxy.half_open()


def _delay(lab: Lab, what: Literal["request_delay_ms", "reply_delay_ms"]) -> None:
    lab.rounds()
    for _ in _times(lab, 2, 20):
        setattr(lab.proxy, what, 2 * lab.settings.flush_budget_ms)
        arrived = []
        for instance in lab.instances:
            instance.record()
            arrived.append(instance.flush())
        assert not all(arrived)  # one may arrive, if its process had no CPU until the reply was there
        setattr(lab.proxy, what, 0)
        lab.rounds()


def reply_too_late(lab: Lab) -> None:
    """Replies take longer than a flush may."""
    _delay(lab, "reply_delay_ms")


def request_too_late(lab: Lab) -> None:
    """Requests arrive after the instance has given up, and perhaps has sent them again."""
    _delay(lab, "request_delay_ms")


def _away(lab: Lab) -> None:
    """Flush and fail, since the store is unreachable, and record more."""
    for _ in range(2):
        for instance in lab.instances:
            instance.record()
            assert not instance.flush()


def black_hole(lab: Lab) -> None:
    """Redis accepts connections and never answers."""
    for _ in _times(lab, 1, 10):
        lab.rounds()
        lab.proxy.black_hole = True
        _away(lab)
        lab.proxy.black_hole = False
        lab.proxy.cut()


def refusing(lab: Lab) -> None:
    """Redis refuses connections."""
    for _ in _times(lab, 3, 50):
        lab.rounds()
        lab.proxy.refuse()
        lab.proxy.cut()
        _away(lab)
        lab.proxy.listen()


def packets_dropped(lab: Lab) -> None:
    """Packets of new connections vanish."""
    for _ in _times(lab, 1, 10):
        lab.rounds()
        lab.proxy.deafen()
        lab.proxy.cut()
        _away(lab)
        lab.proxy.listen()


def flapping(lab: Lab) -> None:
    """Redis becomes unreachable and reachable again, in a different way each time."""
    lab.rounds()
    for _ in _times(lab, 10, 200):
        chance = lab.chance
        away = chance.randrange(4)
        if away == 0:
            lab.proxy.refuse()
        elif away == 1:
            lab.proxy.black_hole = chance.random() < 0.2
        elif away == 2:
            lab.proxy.lose_reply(to=_BATCH)
        if chance.random() < 0.5:
            lab.proxy.cut()
        for instance in lab.instances:
            instance.record()
            instance.flush()
        lab.proxy.black_hole = False
        lab.proxy.cut()
        lab.proxy.listen()
        time.sleep(chance.uniform(0, 0.005))
        lab.chosen.flush()
