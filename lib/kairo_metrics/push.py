"""The `/api/push` ASGI app: a cron calls it, and it pushes what a scrape would show."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from .auth import BearerAuth
from .config import Settings
from .errors import ReceiverError, StoreError
from .metrics import PUSHES
from .pipeline import Pipeline
from .push_settings import PushSettings
from .scrape import Scraper

__all__ = ["push_endpoint"]

_log = logging.getLogger("kairo_metrics")


def push_endpoint(pipeline: Pipeline | None, settings: Settings, push_settings: PushSettings) -> Starlette:
    """Build the app; it answers on whatever path the platform hands over.

    Args:
        pipeline: None while metrics are not enabled.
        settings: of the store and its time limits.
        push_settings: the receiver, its login and the cron's secret.
    """
    auth = BearerAuth(filter(None, [push_settings.cron_secret]))
    scraper = Scraper(pipeline) if pipeline else None

    async def push(request: Request) -> PlainTextResponse:
        if pipeline is None or scraper is None:
            return _text(404, "metrics are off: set ENABLE_METRICS=true")
        if push_settings.url is None:
            return _text(404, "nothing is pushed: set METRICS_REMOTE_WRITE_URL")
        if not auth.configured:
            _log.error("CRON_SECRET is not set: the push endpoint answers 503 until it is")
            return _text(503, "no secret is configured: set CRON_SECRET")
        if not auth.accepts([value for name, value in request.scope["headers"] if name.lower() == b"authorization"]):
            return _text(401, "send the header 'Authorization: Bearer <CRON_SECRET>'", {"WWW-Authenticate": "Bearer"})
        if request.method == "HEAD":  # Starlette lets it in with GET, and nobody who sends it means to push
            return _text(405, "a push is a GET or a POST", {"Allow": "GET, POST"})
        response = await _push(scraper, settings, push_settings)
        response.background = BackgroundTask(_flush, pipeline)
        return response

    return Starlette(routes=[Route("/{path:path}", push, methods=["GET", "POST"])])


async def _push(scraper: Scraper, settings: Settings, push_settings: PushSettings) -> PlainTextResponse:
    # The message format and the HTTP client are needed by nobody but a push.
    from .exposition.remote_write import write_requests
    from .receiver import Receiver

    receiver = Receiver(push_settings)
    deadline_s = time.monotonic() + push_settings.timeout_ms / 1000
    patience_s = min(settings.scrape_timeout_ms, push_settings.timeout_ms) / 1000
    taken = 0
    try:
        scrape = await scraper.take(time.perf_counter(), patience_s)
        for samples, body in write_requests(scrape.families, push_settings.labels, scrape.at_ms):
            await asyncio.to_thread(receiver.send, body, deadline_s)
            taken += samples
    except StoreError as err:
        PUSHES.labels("failed").inc()
        _log.error("the metrics were not pushed: %s", err)
        return _text(503, str(err))
    except ReceiverError as err:
        PUSHES.labels("refused" if err.final else "failed").inc()
        _log.error("the metrics were not pushed: %s", err)
        return _text(502, f"{err} ({taken} samples were taken before)")
    PUSHES.labels("done").inc()
    return _text(200, f"pushed {taken} samples of {scrape.at_ms / 1000:.3f} to {receiver.host}")


async def _flush(pipeline: Pipeline) -> None:
    """Send what this push itself has counted."""
    with suppress(StoreError):
        await pipeline.flusher.aflush()


def _text(status: int, reason: str, headers: dict[str, str] | None = None) -> PlainTextResponse:
    return PlainTextResponse(f"{reason}\n", status, headers={"Cache-Control": "no-store", **(headers or {})})
