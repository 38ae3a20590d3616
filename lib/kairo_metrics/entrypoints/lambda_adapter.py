"""What answers the events of AWS Lambda: Mangum, with the app's lifespan and root path, and errors for other events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

from ..delivery import flusher  # noqa: F401  no first event waits for it
from ..errors import EventError
from ..store import redis_store  # noqa: F401  the same
from .lambda_event import is_http_request, kind_of
from .lambda_instance import LambdaInstance, event_loop
from .lifespan import Lifespan

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["LambdaAdapter"]

# Installed from the wheel the package is `kairo_metrics`.
_PACKAGE = __name__.partition(".entrypoints")[0]


class LambdaAdapter:
    """Answers events: runs the app's startup if it is due, then Mangum.

    Args:
        app: the ASGI app.
        lifespan: "auto", "on" or "off".
        base_path: the root path that the user has given, or "".
        custom_handlers: classes for further events.
        text_mime_types: the content types that are sent as text; none for Mangum's.
        exclude_headers: the names of headers that are left out of answers.
    """

    def __init__(  # noqa: PLR0913  the options of `lambda_handler`
        self,
        app: ASGIApp,
        *,
        lifespan: str,
        base_path: str,
        custom_handlers: Sequence[type[Any]],
        text_mime_types: Sequence[str],
        exclude_headers: Sequence[str],
    ) -> None:
        runner = None if lifespan == "off" else Lifespan(app, {})
        self._excluded = frozenset(name.lower() for name in exclude_headers)
        event_loop()  # Mangum asks for it, which is a warning while there is none
        self._mangum = Mangum(
            _Prepared(app, base_path, runner),
            # Mangum would run startup and shutdown at every invocation.
            lifespan="off",
            custom_handlers=list(custom_handlers),
            # Other types are sent as base64, which can't be read in the log of a load balancer or an API.
            text_mime_types=[*(text_mime_types or DEFAULT_TEXT_MIME_TYPES), "application/openmetrics-text"],
        )
        self._instance = LambdaInstance(runner, is_required=lifespan == "on")

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """Answer one event.

        Raises:
            EventError: it is no HTTP request.
            LifespanError: the app's startup failed; the next event tries it again.
        """
        mangum = self._mangum
        if not is_http_request(event) and not any(
            custom.infer(event, context, mangum.config) for custom in mangum.custom_handlers
        ):
            raise EventError(
                f"lambda_handler answers HTTP requests, and this event is {kind_of(event)}. For other events write a "
                f"plain function, and measure it: `from {_PACKAGE} import measured`, then `@measured` above "
                "`def handler(event, context)`"
            )
        self._instance.start()
        return self._finished(mangum(event, context))

    def _finished(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Do to an answer what Mangum leaves out.

        It excludes no headers for an HTTP API, nor repeated ones, and has no base64 for CloudFront.
        """
        for place in ("headers", "multiValueHeaders"):
            if headers := answer.get(place):
                answer[place] = {name: value for name, value in headers.items() if name.lower() not in self._excluded}
        if "set-cookie" in self._excluded:
            answer.pop("cookies", None)
        if "status" in answer and answer.pop("isBase64Encoded", False):
            answer["bodyEncoding"] = "base64"
        return answer


class _Prepared:
    """The app with what a server adds to a request: the root path, and a copy of the lifespan's state.

    The path keeps the root path, as ASGI has it, so that the app's links are right.

    Args:
        app: the app.
        base_path: the root path that the user has given, or "".
        lifespan: the app's, or None if it is not run.
    """

    def __init__(self, app: ASGIApp, base_path: str, lifespan: Lifespan | None) -> None:
        self._app = app
        self._base_path = base_path
        self._lifespan = lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope.get("root_path"):
            scope["root_path"] = self._root_path(scope.get("aws.event"), f"{scope['path']}/")
        if self._lifespan is not None:
            scope["state"] = self._lifespan.state.copy()
        await self._app(scope, receive, send)

    def _root_path(self, event: Any, path: str) -> str:
        """Return the beginning of the path that is no part of the routes.

        In the event's payload format 2.0 the path begins with the stage, unless that is `$default`; in 1.0 it does not.
        """
        base, stage = self._base_path, ""
        match event:
            case {"version": "2.0", "requestContext": {"stage": str(name)}}:
                stage = f"/{name}"
        # Users of Mangum name the stage as the base path.
        roots = (base, stage) if base == stage else (stage + base, base, stage)
        return next((root for root in roots if path.startswith(f"{root}/")), "")
