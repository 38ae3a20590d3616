"""The `/api/health` ASGI app: whether the function is alive and, if asked, whether the store answers."""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from ..config.settings import Settings, load_settings
from ..errors import StoreError
from ..store.redis_store import RedisStore
from .explanations import wrong_setting

__all__ = ["health_app"]


def health_app(settings: Settings | None = None) -> Starlette:
    """Build the health endpoint. It answers on any path.

    `GET` answers 200 without a command to Redis. `GET ?ready=1` sends a PING to Redis, and answers 200 if Redis replies
    within the flush budget, else 503. While metrics are off it answers 200. If a variable of metrics is wrong, the app
    serves without them, so liveness is 200, and readiness names the variable with 503.

    Args:
        settings: by default those of the environment.

    Raises:
        TypeError: `settings` are no Settings.
    """
    if settings is not None and not isinstance(settings, Settings):
        raise TypeError(f"settings must be Settings, not {type(settings).__name__}")
    settings, problem = (settings, None) if settings else load_settings()
    store = RedisStore(settings)

    async def health(request: Request) -> JSONResponse:
        if request.query_params.get("ready", "") in {"", "0", "false"}:
            return _answer(200, "alive")
        if problem is not None:
            return _answer(503, wrong_setting(problem))
        if not settings.enabled:
            return _answer(200, "ready")
        await asyncio.to_thread(store.load)
        try:
            async with asyncio.timeout(settings.flush_budget_ms / 1000):
                await store.ping()
        except (StoreError, TimeoutError):
            # Anyone may call this endpoint, so the answer holds neither the address of Redis nor its reply.
            return _answer(503, "the metrics store does not answer")
        return _answer(200, "ready")

    return Starlette(routes=[Route("/{path:path}", health, methods=["GET"])])


def _answer(status: int, text: str) -> JSONResponse:
    return JSONResponse({"status": text}, status, headers={"Cache-Control": "no-store"})
