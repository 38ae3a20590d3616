"""Sending a page in several bodies, so that what a receiver refuses does not hold up the rest."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from ..errors import ReceiverError

__all__ = ["PushReport", "Receipt", "push_page"]

T = TypeVar("T")
B = TypeVar("B", bound=Sized)
B_contra = TypeVar("B_contra", bound=Sized, contravariant=True)
_TOO_LARGE = 413
# Refused bodies are halved until this many have been refused; and until the second number if nothing was ever taken:
# then the receiver hardly takes anything from us, and each minute's search would be in vain.
_MOST_REFUSALS = 500
_MOST_IN_VAIN = 24
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a receiver says of a body that it has taken.

    Args:
        refused: how many of its samples it has left out for good, without a way to find out which.
        reason: why; or else a remark about samples that it has taken. Empty if there is nothing to tell.
    """

    refused: int = 0
    reason: str = ""


class Receiver(Protocol[B_contra]):
    """Sends one body; `ReceiverClient` is one."""

    def send(self, body: B_contra, deadline_s: float) -> Receipt:
        """Send a body, or raise a `ReceiverError` when it is refused or the time is up."""

    def asks_to_wait(self, deadline_s: float) -> bool:
        """Tell whether the receiver wants no body before this time."""


@dataclass(slots=True)
class PushReport(Generic[T]):
    """What became of a page.

    Args:
        taken: how many samples the receiver has acknowledged.
        refused: how many it has refused for good. Of a body with several series it may have kept some.
        named: the first series that were refused, each with the receiver's reason; None for those that can't be named.
        remarks: what the receiver has said of samples that it has taken, each once.
        unconfirmed: how many it has neither acknowledged nor refused; if an answer was lost, it may have some of them.
        reason: why those are not acknowledged; empty if there are none.
        ended: whether the receiver refuses us altogether.
    """

    taken: int = 0
    refused: int = 0
    named: list[tuple[T | None, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    unconfirmed: int = 0
    reason: str = ""
    ended: bool = False

    def refuse(self, series: Sequence[T], reason: str) -> None:
        """Count these as refused."""
        self.refused += len(series)
        self.named += [(one, reason) for one in series[: _NAMED - len(self.named)]]

    def take(self, count: int, receipt: Receipt) -> None:
        """Count a body with this many samples as taken, but for those that its receipt leaves out."""
        self.taken += count - receipt.refused
        self.refused += receipt.refused
        if receipt.refused:
            self.named += [(None, receipt.reason)][: _NAMED - len(self.named)]
        elif receipt.reason and receipt.reason not in self.remarks and len(self.remarks) < _NAMED:
            self.remarks.append(receipt.reason)

    def add(self, other: PushReport[T]) -> None:
        """Add what became of another part of the page."""
        self.taken += other.taken
        self.refused += other.refused
        self.named += other.named[: _NAMED - len(self.named)]
        self.remarks += other.remarks[: _NAMED - len(self.remarks)]
        self.unconfirmed += other.unconfirmed
        self.reason = other.reason or self.reason
        self.ended = self.ended or other.ended

    def leave(self, count: int, reason: str) -> None:
        """Count this many as not confirmed."""
        self.unconfirmed += count
        self.reason = reason


def push_page(
    receiver: Receiver[B],
    requests: Iterable[Sequence[T]],
    body_of: Callable[[Sequence[T]], B],
    deadline_s: float,
) -> PushReport[T]:
    """Send all series, blocking: first each list as one body, then the refused ones in halves.

    Args:
        receiver: the receiver.
        requests: the series, one sample in each, in lists of the size of a request.
        body_of: encodes a list.
        deadline_s: when to give up, by `time.monotonic`.
    """
    queue = _Queue(iter(requests))
    report: PushReport[T] = PushReport()
    reason, refusals, too_large = "the time was up", 0, math.inf
    while (series := queue.take()) is not None:
        body = body_of(series)
        if len(series) > 1 and len(body) >= too_large:
            queue.halve(series)
            continue
        left_s = deadline_s - time.monotonic()
        if left_s <= 0 or receiver.asks_to_wait(deadline_s):
            report.leave(len(series) + queue.count(), reason)
            return report
        may_wait = not queue.is_late and not queue.empty
        try:
            # A body that fails without a refusal may use half of the time; then the others come first.
            receipt = receiver.send(body, deadline_s - left_s / 2 if may_wait else deadline_s)
            report.take(len(series), receipt)
        except ReceiverError as err:
            reason = str(err)
            if err.status:
                refusals += 1
                too_large = min(too_large, len(body)) if err.status == _TOO_LARGE else too_large
                if len(series) > 1 and refusals <= (_MOST_REFUSALS if report.taken else _MOST_IN_VAIN):
                    # As long as nothing was taken, small bodies come first: they show soonest whether anything is.
                    queue.halve(series, at_once=not report.taken)
                else:
                    report.refuse(series, reason)
            elif may_wait and not err.final:
                queue.late.append(series)
            else:
                report.leave(len(series), reason)
                if err.final:
                    report.leave(queue.count(), reason)
                    report.ended = True
                    return report
    return report


class _Queue(Generic[T]):
    """The bodies to send: the whole ones, then the halves of refused ones, then those that have failed once."""

    def __init__(self, fresh: Iterator[Sequence[T]]) -> None:
        self._fresh = fresh
        self._following = next(fresh, None)
        self._halves: deque[Sequence[T]] = deque()
        self.late: deque[Sequence[T]] = deque()
        self.is_late = False

    @property
    def empty(self) -> bool:
        return self._following is None and not self._halves and not self.late

    def count(self) -> int:
        """Return how many series are left, and drop them."""
        left = 0
        while (series := self.take()) is not None:
            left += len(series)
        return left

    def take(self) -> Sequence[T] | None:
        """Return the next body's series; None if there are no more. `is_late` tells whether they have failed once."""
        self.is_late = False
        if (series := self._following) is not None:
            self._following = next(self._fresh, None)
        elif self._halves:
            series = self._halves.popleft()
        elif self.late:
            series, self.is_late = self.late.popleft(), True
        return series

    def halve(self, series: Sequence[T], *, at_once: bool = False) -> None:
        middle = len(series) // 2
        (self._halves.extendleft if at_once else self._halves.extend)((series[:middle], series[middle:]))
