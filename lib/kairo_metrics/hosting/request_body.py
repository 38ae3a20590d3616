"""The body of a request, read before the function is called."""

from __future__ import annotations

import contextlib
import tempfile
from typing import IO

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

__all__ = ["BodyTooLargeError", "read_body", "receive_from"]

# A longer body waits in a file.
_IN_MEMORY_BYTES = 1_000_000
_CHUNK_BYTES = 65_536


class BodyTooLargeError(Exception):
    """A request's body is longer than allowed."""


async def read_body(receive: Receive, most_bytes: int) -> IO[bytes]:
    """Return a file with the body of a request, at its end; the caller closes it.

    Args:
        receive: gets the messages of the request.
        most_bytes: the longest body that is read.

    Raises:
        BodyTooLargeError: the body is longer.
        ClientDisconnect: the client left before it had sent everything.
    """
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES))
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            file.write(message.get("body", b""))
            if file.tell() > most_bytes:
                raise BodyTooLargeError
            more = message.get("more_body", False)
        stack.pop_all()
    return file


def receive_from(file: IO[bytes], receive: Receive) -> Receive:
    """Return a `receive` that gives the body in a file, and then the messages after the body.

    Args:
        file: the body.
        receive: gets the messages after the body.
    """
    file.seek(0)
    ended = False

    async def receive_message() -> Message:
        nonlocal ended
        if ended:
            return await receive()
        chunk = file.read(_CHUNK_BYTES)
        ended = not chunk
        return {"type": "http.request", "body": chunk, "more_body": not ended}

    return receive_message
