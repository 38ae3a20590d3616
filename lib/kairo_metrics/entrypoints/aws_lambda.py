"""AWS Lambda: an ASGI app as a handler, whatever calls it: a Function URL, an HTTP or REST API, a load balancer.

Mangum is imported when a handler is built.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["lambda_handler"]

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def lambda_handler(app: ASGIApp) -> Handler:
    """Build the handler that AWS Lambda calls.

    Lambda answers the client only when the handler returns, so a flush adds to the response:
    `METRICS_FLUSH_BUDGET_MS` bounds by how much.

    Args:
        app: the ASGI app, instrumented or not.

    Example:
        handler = lambda_handler(app)
    """
    from mangum import Mangum
    from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

    return Mangum(
        _Staged(app),
        # With it startup and shutdown would run around every single invocation.
        lifespan="off",
        # Any other type travels as base64, which a load balancer's or an API's log can't show.
        text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, "application/openmetrics-text"],
    )


class _Staged:
    """Takes the stage of an HTTP API for where the app is mounted.

    In the event's payload format 2.0 the path begins with the stage, unless that is `$default`; in 1.0 it does not.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        event = scope["aws.event"]
        stage = f"/{event.get('requestContext', {}).get('stage')}"  # Lambda@Edge has no such context
        if event.get("version") == "2.0" and f"{scope['path']}/".startswith(f"{stage}/"):
            scope = {**scope, "root_path": stage}
        await self._app(scope, receive, send)
