"""Connections that are cut at any byte of a batch, of its reply, of the script or of the first commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.faults.chaos.lab import Lab

__all__ = ["greeting", "reply", "request", "script", "twice"]

_SAMPLE = 16
# A reply is a bit longer.
_REPLY = 50
_GREETING_BYTES = 24
_KNOWN, _TOLD, _GREETING = b"\r\nEVALSHA\r\n", b"\r\nEVAL\r\n", b"\r\nSELECT\r\n"


def _positions(lab: Lab, last: Callable[[], int]) -> Iterator[int]:
    """Yield every position at which to cut, or a sample that includes both ends.

    Args:
        lab: decides whether all positions are tried, and draws the sample.
        last: returns the number of bytes seen so far.
    """
    if lab.thorough:
        at = 0
        while at <= last():
            lab.tick(at / last())
            yield at
            at += 1
        return
    length = last()
    yield from sorted({0, 1, length - 1, length, *lab.chance.sample(range(length), min(_SAMPLE, length))})


def _cut(lab: Lab, lose: Callable[..., None], last: Callable[[], int]) -> None:
    lab.rounds(2)
    tried = 0
    for at in _positions(lab, last):
        lose(_KNOWN, at=at)
        lab.rounds()
        tried += not lab.proxy.loss_is_pending
    lab.books.facts.append(f"cut at {tried:,} positions")


def request(lab: Lab) -> None:
    """Redis gets only the first bytes of a batch, or all of them."""
    _cut(lab, lab.proxy.lose_request, lambda: lab.proxy.burst_bytes)


def reply(lab: Lab) -> None:
    """The instance gets only the first bytes of a reply, or all of them."""
    _cut(lab, lab.proxy.lose_reply, lambda: lab.proxy.reply_bytes)


def script(lab: Lab) -> None:
    """Redis gets only the first bytes of a batch that includes the script, or all of them."""
    lab.server.client.script_flush()
    instance = lab.instances[0]
    instance.record()
    instance.deliver()
    length, tried = lab.proxy.burst_bytes, 0
    for at in _positions(lab, lambda: length):
        lab.server.client.script_flush()
        lab.proxy.lose_request(of=_TOLD, at=at)
        instance.record()
        instance.deliver()
        tried += not lab.proxy.loss_is_pending
    lab.books.facts.append(f"cut at {tried:,} positions")


def greeting(lab: Lab) -> None:
    """A new connection breaks while it selects its database."""
    lab.rounds()
    for lose in (lab.proxy.lose_request, lab.proxy.lose_reply):
        for at in sorted(lab.chance.sample(range(_GREETING_BYTES), _GREETING_BYTES if lab.thorough else 6)):
            lab.proxy.cut()
            lose(_GREETING, at=at)
            lab.rounds()
            assert not lab.proxy.loss_is_pending


def twice(lab: Lab) -> None:
    """A connection is cut, and then the one that replaces it, in either direction."""
    lab.rounds(2)
    instance = lab.instances[0]
    for at in _positions(lab, lambda: lab.proxy.burst_bytes):
        lab.proxy.lose_request(of=_KNOWN, at=at)
        lab.proxy.lose_reply(to=_KNOWN, at=lab.chance.randrange(_REPLY), queued=True)
        instance.record()
        assert not instance.flush()
        instance.deliver()
