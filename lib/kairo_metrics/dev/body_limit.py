"""The limit for the body of a request to a function, as on Vercel."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ..hosting.request_body import BodyTooLargeError, read_body, receive_from

__all__ = ["LONGEST_BODY_BYTES", "BodyLimit"]

# "4.5 MB". Source: https://vercel.com/docs/functions/limitations
LONGEST_BODY_BYTES = 4_500_000
_TOO_LARGE = PlainTextResponse(
    f"Request Entity Too Large: at most {LONGEST_BODY_BYTES} bytes, as on Vercel\n\nFUNCTION_PAYLOAD_TOO_LARGE\n", 413
)


class BodyLimit:
    """Answers a request with 413 if its body is longer than Vercel allows.

    A body without Content-Length is read before the app is called.

    Args:
        app: gets the other requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        headers = Headers(scope=scope) if scope["type"] == "http" else {}
        if int(headers.get("content-length") or 0) > LONGEST_BODY_BYTES:
            await _TOO_LARGE(scope, receive, send)
        elif "transfer-encoding" in headers:
            await self._read_first(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _read_first(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            file = await read_body(receive, LONGEST_BODY_BYTES)
        except BodyTooLargeError:
            await _TOO_LARGE(scope, receive, send)
        except ClientDisconnect:
            pass
        else:
            with file:
                await self._app(scope, receive_from(file, receive), send)
