"""The `/api/push` ASGI app: a cron job calls it, and it pushes what a scrape would show."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.background import BackgroundTask, BackgroundTasks
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from ..config.push_settings import PushSettings
from ..config.settings import Settings
from ..delivery.pipeline import Pipeline
from ..delivery.process_pipeline import published_registries
from ..errors import SettingsError, StoreError
from ..instruments.catalogue import catalogue
from ..instruments.delivery_instruments import DeliveryInstruments
from ..scrape.state_reader import StateReader
from .bearer_auth import BearerAuth
from .explanations import wrong_setting

if TYPE_CHECKING:
    from .pusher import Pusher, PushOutcome

__all__ = ["push_endpoint"]

# Characters of a refused series that are shown.
_LONGEST_TITLE = 200

_log = logging.getLogger("kairo_metrics")


def push_endpoint(
    pipeline: Pipeline | None, settings: Settings, push_settings: PushSettings, problem: SettingsError | None = None
) -> Starlette:
    """Build the app. It answers on any path.

    Args:
        pipeline: the store and the flusher; None while metrics are off.
        settings: the store and its time limits.
        push_settings: the receiver, its login and the secret of the cron job.
        problem: the wrong variable that turned metrics or pushes off.
    """
    auth = BearerAuth(filter(None, [push_settings.cron_secret]))
    pushes = _Pushes(pipeline, settings, push_settings) if pipeline else None

    async def push(request: Request) -> PlainTextResponse:
        if pipeline is None or pushes is None or push_settings.receiver_url is None or not auth.configured:
            return _not_ready(problem, push_settings, enabled=pipeline is not None)
        if not auth.accepts([value for name, value in request.scope["headers"] if name.lower() == b"authorization"]):
            return _text(401, "send the header 'Authorization: Bearer <CRON_SECRET>'", {"WWW-Authenticate": "Bearer"})
        if request.method == "HEAD":  # Starlette routes HEAD like GET, but a HEAD must not push
            return _text(405, "a push is a GET or a POST", {"Allow": "GET, POST"})
        finish = BackgroundTasks([BackgroundTask(_flush, pipeline)])
        response = await pushes.push(finish)
        response.background = finish
        return response

    return Starlette(routes=[Route("/{path:path}", push, methods=["GET", "POST"])])


def _not_ready(problem: SettingsError | None, push_settings: PushSettings, *, enabled: bool) -> PlainTextResponse:
    """Return the answer while a setting is wrong or missing."""
    if problem is not None:
        return _text(503, wrong_setting(problem))
    if not enabled:
        return _text(404, "metrics are off: set ENABLE_METRICS=true")
    if push_settings.receiver_url is None:
        return _text(404, f"nothing is pushed: set {push_settings.receiver_variable}")
    _log.error("CRON_SECRET is not set: the push endpoint answers 503 until it is")
    return _text(503, "no secret is configured: set CRON_SECRET")


class _Pushes:
    """Makes pushes, all with one pusher: it remembers what the receiver takes."""

    def __init__(self, pipeline: Pipeline, settings: Settings, push_settings: PushSettings) -> None:
        self._reader = StateReader(pipeline.store, pipeline.settings, pipeline.flusher.aflush, published_registries)
        self._settings = settings
        self._push_settings = push_settings
        self._pusher: Pusher | None = None

    async def push(self, finish: BackgroundTasks) -> PlainTextResponse:
        """Read the page, push it, and return the answer to the caller; what is left to do is added to `finish`."""
        # Imported late: only a push needs the message format and the HTTP client.
        from .push_packages import push_flaw

        instruments, limit_ms = catalogue(DeliveryInstruments), self._push_settings.timeout_ms
        if flaw := push_flaw(self._push_settings.protocol):
            instruments.pushes.labels("failed").inc()
            return _text(503, f"nothing was pushed: {flaw}")
        if self._pusher is None:
            from .pusher import Pusher

            self._pusher = Pusher(self._push_settings)
        deadline_s = time.monotonic() + limit_ms / 1000
        patience_s = min(self._settings.scrape_timeout_ms, limit_ms) / 1000
        try:
            page, upkeep = await self._reader.read_page(time.perf_counter(), patience_s, extras=self._pusher.extras)
            finish.add_task(self._reader.maintain, upkeep)
            outcome = await asyncio.to_thread(self._pusher.push, page, deadline_s)
        except StoreError as err:
            instruments.pushes.labels("failed").inc()
            _log.error("the metrics were not pushed: %s", err)
            return _text(503, str(err))
        except Exception:
            instruments.pushes.labels("failed").inc()
            raise
        return _told(outcome, page.at_ms / 1000, self._push_settings)


def _told(outcome: PushOutcome, at_s: float, push_settings: PushSettings) -> PlainTextResponse:
    """Count what became of a push, and return it as the answer to the caller."""
    from .push_mark import receiver_name

    instruments, values, zeros = catalogue(DeliveryInstruments), outcome.values, outcome.zeros
    instruments.pushed_samples.labels("taken").inc(values.taken)
    instruments.pushed_samples.labels("refused").inc(values.refused)
    # Refused zeros are no fault: the receiver has later samples, or takes none as old as these.
    instruments.pushed_samples.labels("zero").inc(zeros.taken)
    instruments.pushed_samples.labels("zero_refused").inc(zeros.refused)
    if values.taken and not values.unconfirmed:  # who has refused everything has nothing until any time
        instruments.pushed_until.labels(receiver_name(push_settings)).set(at_s)
    host = urlsplit(push_settings.receiver_url or "").hostname
    sentences = [f"pushed {values.taken} {outcome.items} of {at_s:.3f} to {host}"]
    if values.refused:
        named = "; ".join(f"{_shown(title)}: {reason}" if title else reason for title, reason in values.named)
        more = ", among them" if values.refused > len(values.named) else ""
        sentences.append(f"refused {values.refused}{more}: {named}")
    if values.unconfirmed:
        sentences.append(f"not confirmed {values.unconfirmed}: {values.reason}")
    elif zeros.unconfirmed:
        sentences.append(f"not confirmed {zeros.unconfirmed} zeros before the first values: {zeros.reason}")
    remarks = [*outcome.remarks, *values.remarks]
    if len(sentences) == 1:
        instruments.pushes.labels("done").inc()
        if remarks:
            _log.warning("%s", ". ".join(sentences + remarks))
        return _text(200, "\n".join(sentences + remarks))
    instruments.pushes.labels("refused" if values.refused or values.ended else "failed").inc()
    _log.error("%s", ". ".join(sentences + remarks))
    return _text(502, "\n".join(sentences + remarks))


def _shown(title: str) -> str:
    """Cut a long series, and replace what a terminal would obey."""
    printable = "".join(letter if letter.isprintable() else " " for letter in title)
    return printable if len(printable) <= _LONGEST_TITLE else f"{printable[:_LONGEST_TITLE]}..."


async def _flush(pipeline: Pipeline) -> None:
    """Send what this push has counted of itself."""
    with suppress(StoreError):
        await pipeline.flusher.aflush()


def _text(status: int, reason: str, headers: dict[str, str] | None = None) -> PlainTextResponse:
    return PlainTextResponse(f"{reason}\n", status, headers={"Cache-Control": "no-store", **(headers or {})})
