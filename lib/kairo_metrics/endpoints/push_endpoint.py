"""The `/api/push` ASGI app: a cron job calls it, and it pushes what a scrape would show."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress

from starlette.applications import Starlette
from starlette.background import BackgroundTask, BackgroundTasks
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from ..config.push_settings import PushSettings
from ..config.settings import Settings
from ..delivery.pipeline import Pipeline, published_registries
from ..errors import SettingsError, StoreError
from ..exposition.family import Extras
from ..instruments.catalogue import catalogue
from ..instruments.delivery_instruments import DeliveryInstruments
from ..scrape.state_reader import StateReader
from .bearer_auth import BearerAuth
from .explanations import wrong_setting

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
    reader = (
        StateReader(pipeline.store, pipeline.settings, pipeline.flusher.aflush, published_registries)
        if pipeline
        else None
    )

    async def push(request: Request) -> PlainTextResponse:
        if pipeline is None or reader is None or push_settings.url is None or not auth.configured:
            return _not_ready(problem, push_settings, enabled=pipeline is not None)
        if not auth.accepts([value for name, value in request.scope["headers"] if name.lower() == b"authorization"]):
            return _text(401, "send the header 'Authorization: Bearer <CRON_SECRET>'", {"WWW-Authenticate": "Bearer"})
        if request.method == "HEAD":  # Starlette routes HEAD like GET, but a HEAD must not push
            return _text(405, "a push is a GET or a POST", {"Allow": "GET, POST"})
        finish = BackgroundTasks([BackgroundTask(_flush, pipeline)])
        response = await _push(reader, settings, push_settings, finish)
        response.background = finish
        return response

    return Starlette(routes=[Route("/{path:path}", push, methods=["GET", "POST"])])


def _not_ready(problem: SettingsError | None, push_settings: PushSettings, *, enabled: bool) -> PlainTextResponse:
    """Return the answer while a setting is wrong or missing."""
    if problem is not None:
        return _text(503, wrong_setting(problem))
    if not enabled:
        return _text(404, "metrics are off: set ENABLE_METRICS=true")
    if push_settings.url is None:
        return _text(404, "nothing is pushed: set METRICS_REMOTE_WRITE_URL")
    _log.error("CRON_SECRET is not set: the push endpoint answers 503 until it is")
    return _text(503, "no secret is configured: set CRON_SECRET")


async def _push(
    reader: StateReader, settings: Settings, push_settings: PushSettings, finish: BackgroundTasks
) -> PlainTextResponse:
    # Imported late: only a push needs the message format and the HTTP client.
    from ..exposition.negotiate import protobuf_flaw

    instruments = catalogue(DeliveryInstruments)
    if flaw := protobuf_flaw():
        instruments.pushes.labels("failed").inc()
        return _text(503, f"nothing was pushed: {flaw}")
    from ..exposition.remote_write import body_of, title_of, write_requests, zero_requests
    from .page_push import push_page
    from .push_mark import new_since_ms, receiver_name
    from .remote_write_client import RemoteWriteClient

    receiver = RemoteWriteClient(push_settings)
    name = receiver_name(push_settings)
    deadline_s = time.monotonic() + push_settings.timeout_ms / 1000
    patience_s = min(settings.scrape_timeout_ms, push_settings.timeout_ms) / 1000
    try:
        page, upkeep = await reader.read_page(time.perf_counter(), patience_s, extras=Extras(began=True))
        finish.add_task(reader.maintain, upkeep)
        zeros = await asyncio.to_thread(
            push_page,
            receiver,
            zero_requests(page, push_settings.labels, new_since_ms(page, name)),
            body_of,
            deadline_s - (deadline_s - time.monotonic()) / 2,  # without zeros, the values are still of use
        )
        requests = write_requests(page, push_settings.labels)
        report = await asyncio.to_thread(push_page, receiver, requests, body_of, deadline_s)
    except StoreError as err:
        instruments.pushes.labels("failed").inc()
        _log.error("the metrics were not pushed: %s", err)
        return _text(503, str(err))
    except Exception:
        instruments.pushes.labels("failed").inc()
        raise
    instruments.pushed_samples.labels("taken").inc(report.taken)
    instruments.pushed_samples.labels("refused").inc(report.refused)
    # Refused zeros are no fault: the receiver has later samples, or takes none as old as these.
    instruments.pushed_samples.labels("zero").inc(zeros.taken)
    instruments.pushed_samples.labels("zero_refused").inc(zeros.refused)
    if not report.unconfirmed:
        instruments.pushed_until.labels(name).set(page.at_ms / 1000)
    sentences = [f"pushed {report.taken} samples of {page.at_ms / 1000:.3f} to {receiver.host}"]
    if report.refused:
        named = "; ".join(f"{_shown(title_of(series))}: {reason}" for series, reason in report.named)
        more = ", among them" if report.refused > len(report.named) else ""
        sentences.append(f"refused {report.refused}{more}: {named}")
    if report.unconfirmed:
        sentences.append(f"not confirmed {report.unconfirmed}: {report.reason}")
    elif zeros.unconfirmed:
        sentences.append(f"not confirmed {zeros.unconfirmed} zeros before the first values: {zeros.reason}")
    if len(sentences) == 1:
        instruments.pushes.labels("done").inc()
        return _text(200, sentences[0])
    instruments.pushes.labels("refused" if report.refused or report.ended else "failed").inc()
    _log.error("%s", ". ".join(sentences))
    return _text(502, "\n".join(sentences))


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
