"""Errors among the replies to commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import KeysElsewhere, StoreError, StoreUnavailable, UnknownScript

__all__ = ["is_wrong_type", "mark_sent_before", "raise_refusal"]


def is_wrong_type(reply: Any) -> bool:
    """Tell whether the reply is the error that the key holds another type.

    Raises:
        StoreError: the reply is any other error.
    """
    if isinstance(reply, StoreError) and "WRONGTYPE" not in str(reply):
        raise reply
    return isinstance(reply, StoreError)


def mark_sent_before(replies: list[Any], *, sent: bool) -> list[Any]:
    """Record whether the server may have run the commands in an earlier attempt, on each error that leads to another.

    Args:
        replies: the replies to the last attempt.
        sent: whether an earlier attempt sent the same commands and got no reply.
    """
    for reply in replies:
        if isinstance(reply, KeysElsewhere | StoreUnavailable | UnknownScript):
            reply.sent = reply.sent or sent
    return replies


def raise_refusal(replies: Sequence[Any]) -> None:
    """Raise the first error among the replies.

    Raises:
        StoreError: the server refused one of the commands.
    """
    for reply in replies:
        if isinstance(reply, StoreError):
            raise reply
