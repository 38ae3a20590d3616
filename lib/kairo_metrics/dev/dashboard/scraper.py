"""The scraper: reads the project's own `/api/metrics` every two seconds, within the process."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families
from starlette.types import ASGIApp, Message

from ...errors import DevError
from .history import NAME, History, Labels, labels_of

__all__ = ["INTERVAL_S", "TIMEOUT_S", "Family", "Scraped", "Scraper", "samples_of"]

INTERVAL_S = 2.0
_PATH = "/api/metrics"
_OK = 200
TIMEOUT_S = 10.0  # as in that config
# A Redis that is not private is read only while a page is open, and for this long after its last request.
_VIEWED_FOR_S = 60.0
# The history takes 20,000 series, about 4 MB of a page.
_LARGEST_PAGE_BYTES = 20_000_000
_CUMULATIVE = {"counter", "histogram", "summary"}


@dataclass(frozen=True, slots=True)
class Family:
    """What a metrics page says of a metric.

    Args:
        type: such as "counter".
        help: its help text.
    """

    type: str
    help: str


@dataclass(frozen=True, slots=True)
class Scraped:
    """The samples of a metrics page.

    Args:
        samples: a value for each series.
        counters: the series that only grow: those of counters, histograms and summaries.
        families: what the page says of each metric, by its name; that of a counter ends with `_total`.
    """

    samples: dict[Labels, float] = field(default_factory=dict)
    counters: set[Labels] = field(default_factory=set)
    families: dict[str, Family] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes


class Scraper:
    """Fills a history from the metrics function.

    Args:
        app: the metrics function.
        token: the bearer token of the function.
        target: the labels `job` and `instance` of every sample.
        history: the history to fill.
        always: whether to scrape even if no page is open.
    """

    def __init__(self, app: ASGIApp, token: str, target: dict[str, str], history: History, *, always: bool) -> None:
        self._app = app
        self._token = token
        self._target = target
        self._history = history
        self._always = always
        self._viewed_at_s = -_VIEWED_FOR_S
        self._last_succeeded = False
        self._first_try = asyncio.Lock()
        self._has_tried = False
        self.problem = ""
        self.families: dict[str, Family] = {}

    def note_viewer(self) -> None:
        """Note that a page is open now."""
        self._viewed_at_s = time.monotonic()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Scrape in the background while the block runs."""
        task = asyncio.create_task(self._repeat())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def try_once(self) -> None:
        """Scrape unless that was tried before; if it is being tried for the first time, wait for it."""
        async with self._first_try:
            if not self._has_tried:
                await self.scrape()
                self._has_tried = True

    async def scrape(self) -> None:
        """Scrape once; if that fails, `up` is zero and `problem` says why."""
        started_s = time.time()
        scraped = Scraped()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await _get(self._app, self._token)
            if answer.status == _OK:
                scraped = await asyncio.to_thread(samples_of, answer.body.decode(), self._target)
                self.families = scraped.families
            self.problem = (
                "" if answer.status == _OK else f"{_PATH} answers {answer.status}: {_first_line(answer.body)}"
            )
        except TimeoutError:
            self.problem = f"{_PATH} does not answer within {TIMEOUT_S:g} s"
        except DevError as err:
            self.problem = f"{_PATH} can't be read: {err}"
        except Exception as err:  # noqa: BLE001 (a function may raise anything; the page shows it)
            self.problem = f"{_PATH} can't be read: {err!r}"
        own_samples = {
            "scrape_duration_seconds": time.time() - started_s,
            "scrape_samples_scraped": float(len(scraped.samples)),
            "up": float(not self.problem),
        }
        scraped.samples.update({labels_of({NAME: name, **self._target}): value for name, value in own_samples.items()})
        # After a failed scrape it is not known which counters were at zero.
        counters = scraped.counters if self._last_succeeded else ()
        await asyncio.to_thread(self._history.add, round(started_s * 1000), scraped.samples, counters)
        self._last_succeeded = not self.problem

    async def _repeat(self) -> None:
        while True:
            if self._always or time.monotonic() - self._viewed_at_s < _VIEWED_FOR_S:
                await (self.scrape() if self._has_tried else self.try_once())
            await asyncio.sleep(INTERVAL_S)


def samples_of(text: str, target: dict[str, str]) -> Scraped:
    """Parse a metrics page, and add the target's labels to each sample.

    A label of the metric with the same name as one of these is renamed to `exported_<name>`, as in Prometheus.

    Example:
        >>> samples_of('jobs_total{job="a"} 3', {"job": "cms"}).samples
        {(('__name__', 'jobs_total'), ('exported_job', 'a'), ('job', 'cms')): 3.0}
    """
    scraped = Scraped()
    for family in text_string_to_metric_families(text + "\n"):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        scraped.families[name] = Family(family.type, family.documentation)
        for sample in family.samples:
            own = {f"exported_{name}" if name in target else name: value for name, value in sample.labels.items()}
            labels = labels_of({NAME: sample.name, **own, **target})
            scraped.samples[labels] = float(sample.value)
            if family.type in _CUMULATIVE:
                scraped.counters.add(labels)
    return scraped


async def _get(app: ASGIApp, token: str) -> _Answer:
    """Call the function as a scraper does, but without a socket, so that the access log has no line for it."""
    headers = [
        (b"host", b"127.0.0.1"),
        (b"accept", b"text/plain;version=0.0.4"),
        (b"authorization", b"Bearer " + token.encode()),
    ]
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": _PATH, "raw_path": _PATH.encode(), "query_string": b"", "root_path": "",
        "headers": headers, "client": ("127.0.0.1", 0), "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip
    messages: list[Message] = []
    size_bytes = 0
    asked = False

    async def receive() -> Message:
        nonlocal asked
        if asked:
            await asyncio.Event().wait()  # the client stays connected until it has its answer
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal size_bytes
        size_bytes += len(message.get("body", b""))
        if size_bytes > _LARGEST_PAGE_BYTES:
            raise OSError("the client has left")  # as a server does
        messages.append(message)

    try:
        await app(scope, receive, send)
    except Exception:
        if size_bytes <= _LARGEST_PAGE_BYTES:
            raise
    if size_bytes > _LARGEST_PAGE_BYTES:
        raise DevError(f"the page has more than {_LARGEST_PAGE_BYTES} bytes")
    status = next(message["status"] for message in messages if message["type"] == "http.response.start")
    return _Answer(status, b"".join(message.get("body", b"") for message in messages))


def _first_line(body: bytes) -> str:
    return body.decode(errors="replace").strip().partition("\n")[0][:200]
