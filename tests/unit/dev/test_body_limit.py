"""The dev server's limit for request bodies, which is Vercel's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from lib.kairo_metrics.dev.body_limit import LONGEST_BODY_BYTES, BodyLimit

PARTS = 10
PART = b"x" * (LONGEST_BODY_BYTES // PARTS)


class App:
    """Answers with the length of the body; notes how often it was called."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        body = await Request(scope, receive).body()
        await PlainTextResponse(str(len(body)))(scope, receive, send)


async def post(app: App, last: bytes, *, is_chunked: bool) -> httpx.Response:
    """Send a body of the longest allowed length and `last`."""

    async def chunks() -> AsyncIterator[bytes]:
        for part in [*[PART] * PARTS, last]:
            yield part

    content = chunks() if is_chunked else PART * PARTS + last
    async with httpx.AsyncClient(transport=httpx.ASGITransport(BodyLimit(app)), base_url="http://localhost") as client:
        return await client.post("/", content=content)


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_at_the_limit_arrives(*, is_chunked: bool) -> None:
    """A function gets a body of 4.5 MB, with and without Content-Length."""
    answer = await post(App(), b"", is_chunked=is_chunked)
    assert (answer.status_code, answer.text) == (200, "4500000")


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_longer_body_is_refused_as_on_vercel(*, is_chunked: bool) -> None:
    """One byte more is answered with 413 and Vercel's code, and the function is not called."""
    app = App()
    answer = await post(app, b"x", is_chunked=is_chunked)
    assert (answer.status_code, app.calls) == (413, 0)
    assert answer.text.endswith("\n\nFUNCTION_PAYLOAD_TOO_LARGE\n")


async def test_a_client_that_leaves_before_its_body_is_whole_calls_nothing() -> None:
    """A body without a length that ends early does not reach the function."""
    app = App()
    messages: Iterator[Message] = iter(
        [{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        raise AssertionError(message)

    headers = [(b"transfer-encoding", b"chunked")]
    await BodyLimit(app)({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive, send)
    assert app.calls == 0
