"""Holding a conversation with the server: the steps are the same, only the link differs."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import KeysElsewhere, StoreError, StoreUnavailable, UnknownScript
from .base import Command, Steps

if TYPE_CHECKING:
    from .protocol import AsyncLink, SyncLink

__all__ = ["adrive", "doubted", "drive", "is_foreign", "raise_refusal"]

T = TypeVar("T")


async def adrive(steps: Steps[T], link: AsyncLink) -> T:
    """Hold a conversation over an async link."""
    with closing(steps):
        try:
            command = next(steps)
            while True:
                try:
                    [reply] = await link.call(command)
                except StoreError as err:
                    reply = err
                command = _answer(steps, reply)
        except StopIteration as stop:
            result: T = stop.value
            return result


def drive(steps: Steps[T], link: SyncLink, deadline_s: float = math.inf) -> T:
    """Hold the same conversation over a blocking link.

    Args:
        steps: what is said.
        link: over which.
        deadline_s: the monotonic time after which nothing more is sent.
    """
    with closing(steps):
        try:
            command = next(steps)
            while True:
                try:
                    if time.monotonic() > deadline_s:
                        raise StoreUnavailable("there was no time left to send it")
                    [reply] = link.call(command)
                except StoreError as err:
                    reply = err
                command = _answer(steps, reply)
        except StopIteration as stop:
            result: T = stop.value
            return result


def _answer(steps: Steps[T], reply: Any) -> Command:
    return steps.throw(reply) if isinstance(reply, StoreError) else steps.send(reply)


def is_foreign(reply: Any) -> bool:
    """Tell whether a key turned out to hold something else; any other error fails the whole scrape."""
    if isinstance(reply, StoreError) and "WRONGTYPE" not in str(reply):
        raise reply
    return isinstance(reply, StoreError)


def doubted(replies: list[Any], *, sent: bool) -> list[Any]:
    """Let replies that leave it to others to run a command say that it may have been run before.

    Args:
        replies: of what was asked last.
        sent: whether the same was sent before as well, without an answer.
    """
    for reply in replies:
        if isinstance(reply, KeysElsewhere | StoreUnavailable | UnknownScript):
            reply.sent = reply.sent or sent
    return replies


def raise_refusal(replies: Sequence[Any]) -> None:
    """Raise the first error among replies.

    Raises:
        StoreError: one of the commands was refused.
    """
    for reply in replies:
        if isinstance(reply, StoreError):
            raise reply
