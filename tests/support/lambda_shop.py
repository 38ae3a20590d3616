"""An app that says what it sees of a request on AWS Lambda."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from tests.deployment.platform.lambda_events import CALLERS, Call
from tests.support.aws_events import lambda_at_edge

__all__ = ["EVENTS", "REST_API", "seen", "shop"]


REST_API = CALLERS["REST API"]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Open what the requests need."""
    app.state.starts = getattr(app.state, "starts", 0) + 1
    yield {"tenant": "acme", "cart": []}


def shop() -> FastAPI:
    """Make an app that says what it sees of a request."""
    app = FastAPI(lifespan=lifespan)

    @app.get("/state")
    async def state(request: Request) -> dict[str, Any]:
        request.state.user = getattr(request.state, "user", 0) + 1  # of this request alone
        return {"starts": app.state.starts, "tenant": request.state.tenant, "user": request.state.user}

    @app.get("/items/{name}")
    async def item(request: Request, name: str) -> dict[str, Any]:
        scope = request.scope
        return {
            "name": name,
            "path": scope["path"],
            "root_path": scope["root_path"],
            "url": str(request.url_for("old")),
        }

    @app.get("/old")
    async def old(request: Request) -> Response:
        return RedirectResponse(str(request.url_for("item", name="new").path), 301)

    return app


def seen(handler: Callable[[Any, Any], dict[str, Any]], event: dict[str, Any]) -> Any:
    """Send an event, and return the JSON of the answer's body."""
    answer = handler(event, None)
    assert answer.get("statusCode", answer.get("status")) == 200, answer
    return json.loads(answer["body"])


EVENTS = {name: caller.event(Call("GET", "/state")) for name, caller in CALLERS.items()} | {
    "CloudFront": lambda_at_edge("/state")
}
