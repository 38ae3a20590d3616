"""AWS Lambda: an ASGI app as a handler for a Function URL, an HTTP or REST API, or a load balancer.

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

    Lambda sends the response when the handler returns, so a flush delays it, by `METRICS_FLUSH_BUDGET_MS` at most.

    Args:
        app: the ASGI app, instrumented or not.

    Example:
        handler = lambda_handler(app)
    """
    from mangum import Mangum
    from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

    return Mangum(
        _StageMount(app),
        # Else startup and shutdown would run at every invocation.
        lifespan="off",
        # Other types are sent as base64, which can't be read in the log of a load balancer or an API.
        text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, "application/openmetrics-text"],
    )


class _StageMount:
    """Makes the stage of an HTTP API the app's root path.

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
