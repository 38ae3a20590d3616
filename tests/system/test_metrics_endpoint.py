"""`/api/metrics` as a scraper uses it: every row of the table of responses, over HTTP to the real dev server."""

from __future__ import annotations

import gzip
import subprocess
import time
from collections.abc import Iterator

import httpx
import pytest
import redis
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from lib.kairo_metrics import metrics_app
from tests.support.dev_server import DevServer, dev_server
from tests.support.ports import free_port
from tests.support.prometheus_server import require
from tests.support.proxy import Proxy
from tests.support.recording import Recording

TENANT = {"X-Tenant": "acme"}


@pytest.fixture(scope="module")
def server() -> Iterator[DevServer]:
    """Start the dev server on this repository, and send it two requests."""
    with dev_server() as server:
        httpx.get(f"{server.url}/api/content", headers=TENANT)
        httpx.get(f"{server.url}/api/content/nothing", headers=TENANT)
        deadline = time.monotonic() + 30
        while scrape(server).text.count("\nhttp_requests_total{") < 2:  # both flushed, after their responses
            assert time.monotonic() < deadline
        yield server


@pytest.fixture
def own_redis(server: DevServer) -> Iterator[redis.Redis]:
    """Return a client for the dev server's private Redis."""
    with redis.Redis.from_url(server.redis_url) as client:
        yield client


def scrape(server: DevServer, method: str = "GET", path: str = "/api/metrics", **headers: str) -> httpx.Response:
    """Request the metrics with the token."""
    allowed = {"Authorization": f"Bearer {server.token}", "Accept-Encoding": "identity"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.request(method, server.url + path, headers={**allowed, **named})


def commands(client: redis.Redis) -> dict[str, int]:
    """Return the number of commands that Redis has run, without those that count them."""
    statistics = client.info("commandstats")
    return {
        name: row["calls"] for name, row in statistics.items() if name not in {"cmdstat_info", "cmdstat_client|setinfo"}
    }


def test_metrics_that_are_off_say_so_and_cost_no_command(redis_url: str, redis_client: redis.Redis) -> None:
    """Unless ENABLE_METRICS is true the endpoint answers 404, and Redis gets no command."""
    with dev_server(env={"ENABLE_METRICS": "false", "REDIS_URL": redis_url, "METRICS_AUTH_TOKEN": "t"}) as server:
        before = commands(redis_client)
        assert httpx.get(f"{server.url}/api/content", headers=TENANT).status_code == 200
        answer = httpx.get(f"{server.url}/api/metrics", headers={"Authorization": "Bearer t"})
        assert httpx.get(f"{server.url}/api/health?ready=1").status_code == 200
        assert (answer.status_code, answer.text) == (404, "metrics are off: set ENABLE_METRICS=true\n")
        assert commands(redis_client) == before


async def test_without_a_token_every_scrape_is_refused_and_the_log_says_why(
    recording: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    """If no token is configured, every request gets 503, which is logged once."""
    settings = recording.pipeline.settings
    app = metrics_app(settings=settings, store=recording.store)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cms.example.org") as client:
        for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer x"}):
            answer = await client.get("/api/metrics", headers=headers)
            assert (answer.status_code, answer.text) == (503, "no token is configured: set METRICS_AUTH_TOKEN\n")
    assert [record.levelname for record in caplog.records if "METRICS_AUTH_TOKEN" in record.message] == ["ERROR"]


def test_a_wrong_bearer_is_refused_before_redis_is_asked(redis_url: str, redis_client: redis.Redis) -> None:
    """Without the right token the response is 401 with the challenge, and Redis gets no command."""
    # With a Redis that is not private, the dev server's dashboard does not scrape by itself.
    with dev_server(env={"REDIS_URL": redis_url, "METRICS_AUTH_TOKEN": "t"}) as server:
        before = commands(redis_client)
        for credentials in (None, "", "Bearer", "Bearer wrong", "Basic dDp0", "t", "Bearer tx"):
            headers = {} if credentials is None else {"Authorization": credentials}
            answer = httpx.get(f"{server.url}/api/metrics", headers=headers)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert answer.headers["Cache-Control"] == "private, no-store"
        assert commands(redis_client) == before


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_get_the_allowed_ones(server: DevServer, method: str) -> None:
    """A scrape is a GET; other methods get 405."""
    answer = scrape(server, method)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_an_unreachable_store_is_a_failed_scrape() -> None:
    """If Redis is unreachable, a scrape is 503 with a reason and never an empty 200, and the content API works."""
    address = f"redis://:hush@127.0.0.1:{free_port()}"
    with dev_server(env={"REDIS_URL": address, "METRICS_AUTH_TOKEN": "t"}) as server:
        assert httpx.get(f"{server.url}/api/content", headers=TENANT).status_code == 200
        answer = httpx.get(f"{server.url}/api/metrics", headers={"Authorization": "Bearer t"})
        assert answer.status_code == 503
        assert answer.text.startswith("the store could not be read: Redis: ")
        assert httpx.get(f"{server.url}/api/health").status_code == 200
        assert httpx.get(f"{server.url}/api/health?ready=1").status_code == 503
        assert "hush" not in answer.text + server.output


def test_a_silent_store_fails_the_scrape_before_the_scraper_gives_up(proxy: Proxy) -> None:
    """The endpoint answers within the scraper's timeout, so that the scraper gets the reason."""
    environment = {"REDIS_URL": proxy.url, "METRICS_AUTH_TOKEN": "t", "METRICS_SCRAPE_TIMEOUT_MS": "400"}
    environment["METRICS_FLUSH_BUDGET_MS"] = "60000"  # this client gives up after five seconds
    with dev_server(env=environment) as server:
        proxy.black_hole = True
        assert httpx.get(f"{server.url}/api/content", headers=TENANT).status_code == 200
        for limit_s, patience_s in (("0.2", "0.18"), ("10", "0.4"), ("nonsense", "0.4"), ("-1", "0.4")):
            headers = {"Authorization": "Bearer t", "X-Prometheus-Scrape-Timeout-Seconds": limit_s}
            answer = httpx.get(f"{server.url}/api/metrics", headers=headers)
            assert (answer.status_code, answer.text) == (503, f"the store did not answer within {patience_s} s\n")
        proxy.black_hole = False
        proxy.cut()


def test_a_store_corrupt_as_a_whole_is_a_failed_scrape(server: DevServer, own_redis: redis.Redis) -> None:
    """If the families index is damaged as a whole, the scrape fails."""
    [index] = own_redis.keys("kairo:v1:*:families")
    own_redis.rename(index, "aside")
    try:
        own_redis.set(index, "mine")
        answer = scrape(server)
        assert answer.status_code == 503
        assert "WRONGTYPE" in answer.text
    finally:
        own_redis.rename("aside", index)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b'method="GET",route="/x",status="200"', b"junk"),
        (b'method="GET",route="/x",status="200"', b"NaN 1764000000000 9764000000000"),
        (b'method="GET",route="/x",status="200"', b"-1 1764000000000 9764000000000"),
        (b'method="GET",route="/x",status="200"', b"1 1764000000000"),
        (b'method="GET",route="/x",status="200"', b"1\n2 1764000000000 9764000000000"),
        (b'method="GET",route="/\xff",status="200"', b"1 1764000000000 9764000000000"),
        (b'method="GET",route="/\x00",status="200"', b"1 1764000000000 9764000000000"),
        (b'method="GET",route="/"x",status="200"', b"1 1764000000000 9764000000000"),
        (b'method="GET",status="200"', b"1 1764000000000 9764000000000"),
        (b'method="GET",route="a",status="1"\nmethod="GET",route="b",status="1"', b"1 1764000000000 9764000000000"),
        (b"", b""),
    ],
)
def test_one_corrupt_field_is_quarantined_and_the_rest_is_served(
    server: DevServer, own_redis: redis.Redis, field: bytes, value: bytes
) -> None:
    """If one series is damaged, the page stays valid, has all other series, and counts the damage."""
    whole = set(_samples(scrape(server).text, "http_requests_total"))
    [key] = own_redis.keys("kairo:v1:*:series:http_requests:*")
    own_redis.hset(key, field, value)
    try:
        answer = scrape(server, Accept="application/openmetrics-text")
        assert answer.status_code == 200
        assert list(parse_openmetrics(answer.text))
        assert set(_samples(answer.text, "http_requests_total")) == whole
        assert 'kairo_quarantined_fields{family="http_requests"} 1' in answer.text
    finally:
        own_redis.hdel(key, field)


def test_a_foreign_key_and_a_foreign_index_entry_cost_only_themselves(
    server: DevServer, own_redis: redis.Redis
) -> None:
    """A family whose key has another type, and an entry that is not a schema, are counted and left out."""
    [index] = own_redis.keys("kairo:v1:*:families")
    [key] = own_redis.keys("kairo:v1:*:series:http_request_duration_seconds:*")
    own_redis.rename(key, "aside")
    try:
        own_redis.set(key, "mine")
        own_redis.hset(index, "junk", "junk")
        answer = scrape(server)
        assert answer.status_code == 200
        assert "http_requests_total{" in answer.text
        assert "http_request_duration_seconds_bucket" not in answer.text
        assert 'kairo_quarantined_fields{family="http_request_duration_seconds"} 1' in answer.text
        assert 'kairo_quarantined_fields{family=""} 1' in answer.text
    finally:
        own_redis.hdel(index, "junk")
        own_redis.rename("aside", key)


@pytest.mark.parametrize("path", ["/api/metrics", "/metrics", "/api/metrics.py", "/api/metrics/"])
def test_a_good_scrape_is_whole_and_never_cached(server: DevServer, path: str) -> None:
    """Every form of the path that the platform passes on serves the page."""
    answer = scrape(server, path=path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert _samples(answer.text, "http_requests_total") == {
        'http_requests_total{method="GET",route="/api/content",status="200"}': "1",
        'http_requests_total{method="GET",route="/api/content/{slug}",status="404"}': "1",
    }
    for metric in ("http_request_duration_seconds_bucket", "tenant_db_query_duration_seconds_bucket"):
        assert [line for line in answer.text.splitlines() if line.startswith(metric) and 'le="0.2"' in line]


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize("path", ["/", "/api/metrics", "/metrics"])
def test_a_browser_is_told_what_this_is(server: DevServer, path: str) -> None:
    """Without a token a browser gets the contract's 401, and below its reason what this is and how to scrape it."""
    answer = httpx.get(server.url + path, headers={"Accept": BROWSER})
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text.startswith(
        "send the header 'Authorization: Bearer <token>'\n\nThis is a metrics page for Prometheus"
    )
    for told in ("curl -H", "scrape_configs:", "authorization: {credentials: <METRICS_AUTH_TOKEN>}", "doctor --url"):
        assert told in answer.text
    assert "Accept" in answer.headers["Vary"]


@pytest.mark.parametrize("accept", ["*/*", "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "text/html;q=0"])
def test_a_scraper_gets_the_reason_alone(server: DevServer, accept: str) -> None:
    """Who does not ask for HTML gets one line."""
    answer = httpx.get(f"{server.url}/api/metrics", headers={"Accept": accept})
    assert (answer.status_code, answer.text) == (401, "send the header 'Authorization: Bearer <token>'\n")


def test_a_browser_with_the_token_gets_the_page(server: DevServer) -> None:
    """The token decides, and not the program that sends it."""
    answer = scrape(server, Accept=BROWSER)
    assert answer.status_code == 200
    assert "http_requests_total" in answer.text


def test_openmetrics_is_served_on_request(server: DevServer) -> None:
    """The strict parser accepts the page."""
    answer = scrape(server, Accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert answer.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert "http_requests" in {family.name for family in parse_openmetrics(answer.text)}


def test_gzip_is_used_when_accepted(server: DevServer) -> None:
    """A scraper that accepts gzip gets the same page, compressed."""
    with httpx.stream(
        "GET",
        f"{server.url}/api/metrics",
        headers={"Authorization": f"Bearer {server.token}", "Accept-Encoding": "gzip"},
    ) as answer:
        packed = b"".join(answer.iter_raw())
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in answer.headers["Vary"]
    assert b"http_requests_total" in gzip.decompress(packed)


def test_head_has_the_headers_and_no_body(server: DevServer) -> None:
    """A HEAD is answered like the GET, without the body."""
    answer = scrape(server, "HEAD")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")


@pytest.mark.parametrize(
    ("query", "families"),
    [
        ("name[]=http_requests", {"http_requests_total"}),
        ("name[]=http_requests_total", {"http_requests_total"}),
        ("name[]=http_request_duration_seconds_bucket", {"http_request_duration_seconds"}),
        ("name[]=http_requests_total&name[]=kairo_series", {"http_requests_total", "kairo_series"}),
        ("name[]=kairo_series", {"kairo_series"}),
        ("name[]=nothing", set()),
    ],
)
def test_families_can_be_selected_by_name(server: DevServer, query: str, families: set[str]) -> None:
    """`name[]` takes names of families and samples, and may be repeated."""
    answer = scrape(server, path=f"/api/metrics?{query}")
    assert answer.status_code == 200
    assert {line.split()[2] for line in answer.text.splitlines() if line.startswith("# TYPE")} == families


def test_the_page_has_metrics_about_itself(server: DevServer) -> None:
    """Batches, losses, series per family, quarantine, scrape time, clock and store are on every page."""
    page = scrape(server).text
    for sample in (
        'kairo_batches_total{outcome="applied"}',
        'kairo_batches_total{outcome="replayed"} 0',
        'kairo_samples_lost_total{family="http_requests"} 0',
        'kairo_samples_overflowed_total{family="http_requests"} 0',
        "kairo_clock_skew_seconds 0",
        "kairo_max_series 10000",
        "kairo_missing_batches 0",
        "kairo_store_memory_bytes ",
        "kairo_store_max_memory_bytes 0",
        'kairo_series{family="http_requests"} 2',
        'kairo_quarantined_fields{family="http_requests"} 0',
        "kairo_scrape_duration_seconds 0.",
        'kairo_store_info{eviction_policy="noeviction",version="',
    ):
        assert sample in page


def test_promtool_finds_no_fault(server: DevServer) -> None:
    """The page of the watched system passes Prometheus' own linter."""
    command = [require("promtool"), "check", "metrics"]
    checked = subprocess.run(command, input=scrape(server).content, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, b"")


def _samples(page: str, name: str) -> dict[str, str]:
    lines = (line for line in page.splitlines() if line.startswith(name))
    return {sample: value for sample, _, value in (line.rpartition(" ") for line in lines)}
