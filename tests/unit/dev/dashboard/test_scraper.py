"""The scraper of the dashboard: gaps, failures, and labels of the target."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from starlette.types import Receive, Scope, Send

from lib.kairo_metrics.dev.dashboard import scraper as scraper_module
from lib.kairo_metrics.dev.dashboard.history import NAME, History, labels_of
from lib.kairo_metrics.dev.dashboard.promql import instant
from lib.kairo_metrics.dev.dashboard.scraper import Scraper, samples_of


async def _until(condition: Any) -> None:
    for _ in range(200):
        if condition():
            return
        await anyio.sleep(0.1)
    raise AssertionError("nothing has come")


class Function:
    """A metrics function that returns the pages of a test.

    Args:
        pages: one for each scrape; None is a 503.
    """

    def __init__(self, *pages: str | None) -> None:
        self.pages = list(pages)
        self.authorization: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        self.authorization += [value for name, value in scope["headers"] if name == b"authorization"]
        page = self.pages.pop(0)
        status = 503 if page is None else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": ("the store is away\n" if page is None else page).encode()})


async def test_a_failed_scrape_is_a_gap_and_is_shown() -> None:
    """After a failed scrape `up` is zero and series have ended; a counter that is new then does not start at 0."""
    page = "# TYPE jobs_total counter\njobs_total 5\n# TYPE level gauge\nlevel 7\n"
    function = Function("", page, None, page.replace("jobs_total 5", 'jobs_total{queue="b"} 5'))
    history = History(keep_ms=60_000)
    scraper = Scraper(function, "the-token", {"job": "cms", "instance": "here"}, history, always=True)
    seen = []
    for _ in range(4):
        await scraper.scrape()
        bounds = history.bounds_ms()
        assert bounds
        seen.append((instant(history, "up", bounds[1]), instant(history, "jobs_total", bounds[1]), scraper.problem))
        await anyio.sleep(0.002)
    assert [next(iter(up.series.values())) for up, _, _ in seen] == [[1.0], [1.0], [0.0], [1.0]]  # type: ignore[union-attr]
    assert [len(jobs.series) for _, jobs, _ in seen] == [0, 1, 0, 1]  # type: ignore[union-attr]
    assert [problem for _, _, problem in seen] == ["", "", "/api/metrics answers 503: the store is away", ""]
    values = {
        dict(series.labels).get("queue"): series.values
        for series in history.select("jobs_total", lambda _labels: True, 0, 2**63)
    }
    # The first series began between two good scrapes, so at zero; for the second that is not known.
    assert values == {None: [0.0, 5.0, None], "b": [5.0]}
    assert set(function.authorization) == {b"Bearer the-token"}


async def test_a_function_that_raises_is_a_failed_scrape(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception in the metrics function does not end the scraping."""
    monkeypatch.setattr(scraper_module, "INTERVAL_S", 0.001)
    function = Function("up_to_date 1\n")
    scraper = Scraper(function, "t", {"job": "cms", "instance": "here"}, History(keep_ms=60_000), always=True)
    async with scraper.running():
        await _until(lambda: scraper.problem)
    assert scraper.problem == "/api/metrics can't be read: IndexError('pop from empty list')"


def test_labels_of_the_target_win() -> None:
    """A metric's own label `job` or `instance` is renamed, as in Prometheus."""
    scraped = samples_of('# TYPE x_total counter\nx_total{job="own",le="1"} 2\n', {"job": "cms", "instance": "here"})
    [labels] = scraped.samples
    assert dict(labels) == {NAME: "x_total", "exported_job": "own", "instance": "here", "job": "cms", "le": "1"}
    assert scraped.counters == {labels_of(dict(labels))}


async def test_a_page_without_end_is_a_failed_scrape() -> None:
    """A page of more than 20 MB is not kept in memory, and the dashboard says why there is no data."""
    sent = 0

    async def endless(_scope: Scope, _receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while sent < 1_000:
            await send({"type": "http.response.body", "body": b"#" * 1_000_000, "more_body": True})
            sent += 1

    scraper = Scraper(endless, "t", {"job": "cms", "instance": "here"}, History(keep_ms=60_000), always=True)
    await scraper.scrape()
    assert scraper.problem == "/api/metrics can't be read: the page has more than 20000000 bytes"
    assert sent == 20


async def test_a_page_that_never_comes_is_a_failed_scrape(monkeypatch: pytest.MonkeyPatch) -> None:
    """A metrics function that does not answer is given up, and the dashboard says so."""
    monkeypatch.setattr(scraper_module, "TIMEOUT_S", 0.01)

    async def silent(_scope: Scope, receive: Receive, _send: Send) -> None:
        while True:
            await receive()

    scraper = Scraper(silent, "t", {"job": "cms", "instance": "here"}, History(keep_ms=60_000), always=True)
    await scraper.scrape()
    assert scraper.problem == "/api/metrics does not answer within 0.01 s"
