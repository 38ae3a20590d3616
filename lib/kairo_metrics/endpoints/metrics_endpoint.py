"""The `/api/metrics` ASGI app."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from weakref import WeakSet

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Send
from starlette.types import Scope as ASGIScope

from ..config.settings import Settings
from ..delivery.pipeline import Pipeline
from ..delivery.process_pipeline import published_registries
from ..errors import SettingsError, StoreError, TokenSourceError
from ..exposition.negotiate import Format, choose_format
from ..exposition.page import Page
from ..scrape.state_reader import StateReader
from .explanations import explained, wrong_setting
from .gzip_encoding import accepts_gzip, gzipped
from .token_cache import TokenCache
from .token_sources import TokenSource, source_named_by

__all__ = ["ENDPOINTS", "MetricsEndpoint"]

# Those that live, for a program's own tests: see `testing.isolated_metrics`.
ENDPOINTS: WeakSet[MetricsEndpoint] = WeakSet()

_NOT_CACHED = {"Cache-Control": "private, no-store"}
# The share of the scraper's time limit that a scrape may use, so that a 503 with its reason arrives before the limit.
_SHARE_OF_PATIENCE = 0.9
# The share of that for the token source, so that its outage leaves time for the store.
_SHARE_OF_TOKEN_SOURCE = 0.5


class MetricsEndpoint:
    """Serves the shared state to requests with a token, on any path.

    Args:
        pipeline: the store and the flusher; None while metrics are off.
        settings: tokens and time limits.
        token_source: where the tokens are kept; by default the source that the settings name.
        problem: the wrong variable that turned metrics off.

    Attributes:
        token_source: the one given, or None.
    """

    def __init__(
        self,
        pipeline: Pipeline | None,
        settings: Settings,
        token_source: TokenSource | None = None,
        problem: SettingsError | None = None,
    ) -> None:
        self._reader = (
            StateReader(pipeline.store, pipeline.settings, pipeline.flusher.aflush, published_registries)
            if pipeline
            else None
        )
        self._settings = settings
        self._problem = problem
        self.token_source = token_source
        ENDPOINTS.add(self)
        self._token_cache = TokenCache(settings.auth_tokens, token_source or source_named_by(settings))

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close"})
            return
        response = await self._respond(Request(scope))
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        reader = self._reader
        if self._problem is not None:
            return _refusal(request, 503, wrong_setting(self._problem))
        if reader is None:
            return _refusal(request, 404, "metrics are off: set ENABLE_METRICS=true")
        started_s = time.perf_counter()
        patience_s = self._patience_s(request)
        authorization = [value for name, value in request.scope["headers"] if name.lower() == b"authorization"]
        try:
            admitted = await self._token_cache.admits(authorization, patience_s * _SHARE_OF_TOKEN_SOURCE)
        except TokenSourceError as err:
            return _refusal(request, 503, str(err))
        if not admitted:
            return _refusal(
                request, 401, "send the header 'Authorization: Bearer <token>'", {"WWW-Authenticate": "Bearer"}
            )
        if request.method not in {"GET", "HEAD"}:
            return _refusal(request, 405, "a scrape is a GET", {"Allow": "GET, HEAD"})
        return await self._scrape(reader, request, started_s, patience_s)

    async def _scrape(self, reader: StateReader, request: Request, started_s: float, patience_s: float) -> Response:
        names = frozenset(request.query_params.getlist("name[]"))
        form = choose_format(",".join(request.headers.getlist("Accept")))
        extras = form.printed_extras
        extras = replace(extras, created=extras.created or self._settings.created_samples)
        try:
            page, upkeep = await reader.read_page(
                started_s, patience_s, names, extras, self._settings.new_series_zero_s
            )
        except StoreError as err:
            return _refusal(request, 503, str(err))
        return _response(request, page, form, BackgroundTask(reader.maintain, upkeep))

    def _patience_s(self, request: Request) -> float:
        """Return the seconds that this scrape may take: the scraper's time limit, if it is below our own."""
        limit_s = self._settings.scrape_timeout_ms / 1000
        try:
            asked_s = float(request.headers.get("X-Prometheus-Scrape-Timeout-Seconds", "inf"))
        except ValueError:
            return limit_s
        return min(limit_s, asked_s * _SHARE_OF_PATIENCE) if asked_s > 0 and not math.isnan(asked_s) else limit_s


def _response(request: Request, page: Page, form: Format, upkeep: BackgroundTask) -> Response:
    headers = {**_NOT_CACHED, "Content-Type": form.content_type_header, "Vary": "Accept, Accept-Encoding"}
    body: Iterator[bytes] = form.render(page)
    if accepts_gzip(",".join(request.headers.getlist("Accept-Encoding"))):
        headers["Content-Encoding"] = "gzip"
        body = gzipped(body)
    if request.method == "HEAD":
        body = iter(())
    # Streamed: the platform refuses a buffered body above 4.5 MB.
    return StreamingResponse(_stream(body), headers=headers, background=upkeep)


async def _stream(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Yield the pieces, and let other requests run between them."""
    for piece in pieces:
        yield piece
        await asyncio.sleep(0)


def _refusal(request: Request, status: int, reason: str, headers: dict[str, str] | None = None) -> Response:
    text = explained(reason, ",".join(request.headers.getlist("Accept")))
    return PlainTextResponse(text, status, headers={**_NOT_CACHED, "Vary": "Accept", **(headers or {})})


async def _lifespan(receive: Receive, send: Send) -> None:
    """Answer startup and shutdown at once: nothing is connected before the first scrape."""
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})
