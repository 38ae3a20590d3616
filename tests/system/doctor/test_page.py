"""`doctor --url`: the metrics page, and whether Prometheus would accept it."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest

from lib.kairo_metrics.cli.doctor import http_client, page_checks
from lib.kairo_metrics.cli.doctor.http_client import Answer
from tests.support.doctor_run import TOKEN, Doctor
from tests.support.site import GOOD, HTML_KIND, Page, endpoint, site

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
HTML = "<!doctype html><title>Welcome</title>"


@pytest.mark.parametrize(
    ("text", "headers", "check", "mark"),
    [
        (GOOD, {"Content_Type": ""}, "content-type", "fail"),
        (GOOD, {"Content_Type": "application/json"}, "content-type", "fail"),
        ("", {}, "page", "fail"),
        (HTML, HTML_KIND, "page", "fail"),
        ("# TYPE other gauge\nother 1\n", {}, "page", "warn"),
        ('http_requests_total{method="GET} 1\n', {}, "text", "fail"),
        (GOOD, {"Content_Type": OPENMETRICS}, "openmetrics", "fail"),
        (GOOD, {"Cache_Control": "public, max-age=60"}, "cache", "warn"),
        (GOOD, {"Age": "12"}, "cache", "fail"),
        (GOOD, {"x_vercel_cache": "HIT"}, "cache", "fail"),
        (GOOD.replace("http_requests", "http_replies"), {}, "requests", "warn"),
        (GOOD + 'kairo_quarantined_fields{family="jobs"} 2\n', {}, "quarantine", "warn"),
        (GOOD + 'kairo_clashing_schemas{family="jobs"} 1\n', {}, "clashes", "warn"),
        (GOOD + 'kairo_samples_lost_total{family="jobs"} 2\n', {}, "lost", "warn"),
        (GOOD + 'kairo_samples_overflowed_total{family="jobs"} 2\n', {}, "series", "warn"),
        (GOOD.replace("noeviction", "allkeys-lru"), {}, "eviction", "warn"),
        (GOOD.replace("noeviction", "unknown"), {}, "eviction", "skipped"),
        (GOOD + "kairo_store_memory_bytes 9\nkairo_store_max_memory_bytes 10\n", {}, "memory", "warn"),
        (GOOD + "kairo_store_memory_bytes 9\nkairo_store_max_memory_bytes 0\n", {}, "memory", "ok"),
        (GOOD + "# " + "x" * 10_000_000 + "\n", {}, "size", "warn"),
        (GOOD, {"Date": "Thu, 01 Jan 2026 00:00:00 GMT"}, "clock", "warn"),
        (GOOD, {"Date": "soon"}, "clock", "skipped"),
    ],
)
def test_a_page_that_prometheus_would_not_take_is_found(
    doctor: Doctor, text: str, headers: dict[str, str], check: str, mark: str
) -> None:
    """Type, content, caching, damage, size and clock: each fault has its own finding."""
    with site(endpoint(text, **headers)) as url:
        report = doctor("--url", url, METRICS_AUTH_TOKEN=TOKEN)
    assert report.mark(check) == mark
    assert report.code == (1 if report.failed else 0)
    if mark == "warn":
        assert report.failed == set()


def test_a_page_that_comes_uncompressed_or_broken_is_found(doctor: Doctor) -> None:
    """A proxy that decompresses the page is a warning, and one that damages it a failure."""

    def unpacked(path: str, headers: Mapping[str, str]) -> Page:
        return endpoint()(path, {**headers, "accept-encoding": ""})

    def broken(path: str, headers: Mapping[str, str]) -> Page:
        page = endpoint()(path, headers)
        return Page(page.status, page.body.replace(b"\x1f\x8b", b"xx"), page.headers)

    for answer, mark in ((unpacked, "warn"), (broken, "fail")):
        with site(answer) as url:
            assert doctor("--url", url, METRICS_AUTH_TOKEN=TOKEN).mark("gzip") == mark


class Clock:
    """A clock that the test moves on."""

    now_s = 100.0
    time = staticmethod(time.time)

    def perf_counter(self) -> float:
        return self.now_s


@pytest.mark.parametrize(("took_s", "mark"), [(10.0, "fail"), (5.0, "warn"), (4.9, "ok")])
def test_a_slow_page_is_measured_against_the_scraper_s_timeout(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, took_s: float, mark: str
) -> None:
    """Longer than Prometheus' timeout is a failure, longer than half of it a warning."""
    clock = Clock()
    monkeypatch.setattr(http_client, "time", clock)

    def answer(path: str, headers: Mapping[str, str]) -> Page:
        clock.now_s += took_s
        return endpoint()(path, headers)

    with site(answer) as url:
        assert doctor("--url", url, METRICS_AUTH_TOKEN=TOKEN).mark("duration") == mark


@pytest.mark.parametrize(("date", "mark"), [("07", "ok"), ("14", "ok"), ("00", "warn"), ("20", "warn")])
def test_a_page_that_took_its_time_is_no_clock_that_is_behind(date: str, mark: str) -> None:
    """A Date header from the start of a response of eight seconds is not reported as a wrong clock."""
    answer = Answer(200, {"date": f"Thu, 01 Jan 2026 00:00:{date} GMT"}, b"", 8.0, 1_767_225_614.5)
    assert page_checks._clock(answer).mark == mark
