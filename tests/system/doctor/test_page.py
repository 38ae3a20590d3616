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
    ("text", "headers", "check", "found"),
    [
        (GOOD, {"Content_Type": ""}, "content-type", ("fail", "header rule that changes it")),
        (GOOD, {"Content_Type": "application/json"}, "content-type", ("fail", "header rule that changes it")),
        ("", {}, "page", ("fail", "the metrics page is never empty")),
        (HTML, HTML_KIND, "page", ("fail", "this is another app: correct the path")),
        ("# TYPE other gauge\nother 1\n", {}, "page", ("warn", "correct the path, if it should be")),
        ('http_requests_total{method="GET} 1\n', {}, "text", ("fail", "it is a bug: report it")),
        (GOOD, {"Content_Type": OPENMETRICS}, "openmetrics", ("fail", "it is a bug: report it")),
        (GOOD, {"Cache_Control": "public, max-age=60"}, "cache", ("warn", "a header rule that replaces")),
        (GOOD, {"Age": "12"}, "cache", ("fail", "take the path out of the cache")),
        (GOOD, {"x_vercel_cache": "HIT"}, "cache", ("fail", "take the path out of the cache")),
        (
            GOOD.replace("http_requests", "http_replies"),
            {},
            "requests",
            ("warn", "send a request to an instrumented function"),
        ),
        (GOOD.replace("http_requests", "cms_http_requests"), {}, "requests", ("ok", "")),
        (
            GOOD.replace("http_requests", "http_replies")
            + 'starlette_requests_total{app_name="starlette",method="GET",path="/",status_code="200"} 3\n',
            {},
            "requests",
            ("ok", ""),
        ),
        (
            GOOD + 'kairo_quarantined_fields{family="jobs"} 2\n',
            {},
            "quarantine",
            ("warn", "run `doctor` where REDIS_URL is set: it shows more"),
        ),
        (
            GOOD + 'kairo_clashing_schemas{family="jobs"} 1\n',
            {},
            "clashes",
            ("warn", "rename one of the two"),
        ),
        (
            GOOD + 'kairo_samples_lost_total{family="jobs"} 2\n',
            {},
            "lost",
            ("warn", "run `doctor` where REDIS_URL is set: it shows more"),
        ),
        (
            GOOD + 'kairo_samples_overflowed_total{family="jobs"} 2\n',
            {},
            "series",
            ("warn", "run `doctor` where REDIS_URL is set: it shows more"),
        ),
        (GOOD.replace("noeviction", "allkeys-lru"), {}, "eviction", ("warn", "it shows whether that matters")),
        (GOOD.replace("noeviction", "unknown"), {}, "eviction", ("skipped", "ask your provider")),
        (
            GOOD + "kairo_store_memory_bytes 9\nkairo_store_max_memory_bytes 10\n",
            {},
            "memory",
            ("warn", "give Redis more memory, or see `series`"),
        ),
        (GOOD + "kairo_store_memory_bytes 9\nkairo_store_max_memory_bytes 0\n", {}, "memory", ("ok", "")),
        (GOOD + "# " + "x" * 10_000_000 + "\n", {}, "size", ("warn", "`series` shows which families are large")),
        (GOOD, {"Date": "Thu, 01 Jan 2026 00:00:00 GMT"}, "clock", ("warn", "set this machine's clock by NTP")),
        (GOOD, {"Date": "soon"}, "clock", ("skipped", "")),
    ],
)
def test_a_page_that_prometheus_would_not_take_is_found(
    doctor: Doctor, text: str, headers: dict[str, str], check: str, found: tuple[str, str]
) -> None:
    """Type, content, caching, damage, size and clock: each fault has its own finding and advice."""
    mark, advice = found
    with site(endpoint(text, **headers)) as url:
        report = doctor("--url", url, METRICS_AUTH_TOKEN=TOKEN)
    assert report.mark(check) == mark
    assert advice in report.text(check)
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

    for answer, mark, advice in (
        (unpacked, "warn", "a proxy that unpacks it"),
        (broken, "fail", "a proxy that packs it twice"),
    ):
        with site(answer) as url:
            report = doctor("--url", url, METRICS_AUTH_TOKEN=TOKEN)
        assert report.mark("gzip") == mark
        assert advice in report.text("gzip")


class Clock:
    """A clock that the test moves on."""

    now_s = 100.0
    time = staticmethod(time.time)

    def perf_counter(self) -> float:
        return self.now_s


@pytest.mark.parametrize(
    ("took_s", "mark", "advice"),
    [(10.0, "fail", "raise scrape_timeout"), (5.0, "warn", "half of the time that Prometheus waits"), (4.9, "ok", "")],
)
def test_a_slow_page_is_measured_against_the_scraper_s_timeout(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, took_s: float, mark: str, advice: str
) -> None:
    """Longer than Prometheus' timeout is a failure, longer than half of it a warning."""
    clock = Clock()
    monkeypatch.setattr(http_client, "time", clock)

    def answer(path: str, headers: Mapping[str, str]) -> Page:
        clock.now_s += took_s
        return endpoint()(path, headers)

    with site(answer) as url:
        report = doctor("--url", url, METRICS_AUTH_TOKEN=TOKEN)
    assert report.mark("duration") == mark
    assert advice in report.text("duration")


@pytest.mark.parametrize(("date", "mark"), [("07", "ok"), ("14", "ok"), ("00", "warn"), ("20", "warn")])
def test_a_page_that_took_its_time_is_no_clock_that_is_behind(date: str, mark: str) -> None:
    """A Date header from the start of a response of eight seconds is not reported as a wrong clock."""
    answer = Answer(200, {"date": f"Thu, 01 Jan 2026 00:00:{date} GMT"}, b"", 8.0, 1_767_225_614.5)
    assert page_checks._clock(answer).mark == mark
