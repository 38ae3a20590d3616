"""The functions under AWS's own runtime client, called by every kind of caller on AWS."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from google.protobuf.proto import parse_length_prefixed
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from lib.kairo_metrics.exposition.client_model_pb2 import MetricFamily
from tests.deployment.platform.lambda_events import CALLERS, Call, Caller
from tests.deployment.platform.lambda_requests import TENANT, TOKEN, ask, create, read, scrape, variables
from tests.deployment.platform.lambda_runtime import LambdaFunction, lambda_function
from tests.support.variants import variants

OPENMETRICS = ("Accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
PROTOBUF = (
    "Accept",
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
)

GZIP = ("Accept-Encoding", "gzip")


@pytest.fixture(params=variants(CALLERS, ["HTTP API or Function URL"]))
def caller(request: pytest.FixtureRequest) -> Caller:
    """Return each kind of caller in turn."""
    return CALLERS[request.param]


@pytest.fixture
def content(redis_url: str, tmp_path: Path) -> Iterator[LambdaFunction]:
    """Start an instance of the content function."""
    with lambda_function("api.content.handler", variables(redis_url, tmp_path)) as function:
        yield function


@pytest.fixture(scope="module")
def metrics(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LambdaFunction]:
    """Start one instance of the metrics function for all tests: each page is read from Redis."""
    with lambda_function("api.metrics.handler", variables(redis_server, tmp_path_factory.mktemp("page"))) as function:
        yield function


def test_one_function_serves_what_another_has_counted(
    content: LambdaFunction, metrics: LambdaFunction, caller: Caller
) -> None:
    """For every caller, the requests of the content function are on the metrics function's page."""
    created = ask(content, create(), caller)
    assert (created.status, created.headers["location"]) == (201, "/api/content/hello")
    assert json.loads(created.body)["title"] == "Grüße"
    found = ask(content, read(), caller)
    assert (found.status, json.loads(found.body)["body"]) == (200, "Ærø")
    deleted = ask(content, Call("DELETE", "/api/content/hello", (TENANT,)), caller)
    assert (deleted.status, deleted.body) == (204, b"")
    page = ask(metrics, scrape(), caller)
    assert page.status == 200
    assert page.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert page.headers["cache-control"] == "private, no-store"
    for labels in (
        'method="POST",route="/api/content",status="201"',
        'method="GET",route="/api/content/{slug}",status="200"',
        'method="DELETE",route="/api/content/{slug}",status="204"',
    ):
        assert f"http_requests_total{{{labels}}} 1\n" in page.text


def test_pages_arrive_intact(content: LambdaFunction, metrics: LambdaFunction, caller: Caller) -> None:
    """Text is sent as text, a compressed page as base64 with its flag, and both are the same page."""
    ask(content, create(), caller)
    plain, openmetrics = ask(metrics, scrape(), caller), ask(metrics, scrape(OPENMETRICS), caller)
    assert not plain.was_base64
    assert not openmetrics.was_base64
    assert openmetrics.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert "http_requests" in {family.name for family in parse_openmetrics(openmetrics.text)}
    for page, packed in (
        (plain, ask(metrics, scrape(GZIP), caller)),
        (openmetrics, ask(metrics, scrape(OPENMETRICS, GZIP), caller)),
    ):
        assert packed.was_base64
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.headers["content-type"] == page.headers["content-type"]
        assert _lasting(gzip.decompress(packed.body).decode()) == _lasting(page.text)


@pytest.mark.parametrize("gzipped", [False, True])
def test_messages_arrive_intact(
    content: LambdaFunction, metrics: LambdaFunction, caller: Caller, *, gzipped: bool
) -> None:
    """A protobuf page is sent as base64 with its flag, compressed or not, and can be parsed."""
    ask(content, create(), caller)
    page = ask(metrics, scrape(PROTOBUF, *([GZIP] if gzipped else [])), caller)
    assert page.was_base64
    assert page.headers["content-type"].startswith("application/vnd.google.protobuf; proto=")
    assert page.headers.get("content-encoding") == ("gzip" if gzipped else None)
    source = BytesIO(gzip.decompress(page.body) if gzipped else page.body)
    families = list(iter(lambda: parse_length_prefixed(MetricFamily, source), None))
    requests = {family.name: family for family in families}["http_requests_total"]
    assert [metric.counter.value for metric in requests.metric] == [1]


def _lasting(page: str) -> list[str]:
    """Return the lines that two scrapes in a row have in common."""
    changing = ("kairo_scrape_duration_seconds ", "kairo_store_memory_bytes ", "kairo_clock_skew_seconds ")
    return [line for line in page.splitlines() if not line.startswith(changing)]


def test_selections_and_refusals_arrive_intact(
    content: LambdaFunction, metrics: LambdaFunction, caller: Caller
) -> None:
    """A selection by name works, HEAD has no body, and a wrong token or method gets its error."""
    ask(content, read(), caller)
    selected = ask(metrics, scrape(query="?name[]=api_errors&name[]=http_requests"), caller)
    types = {line.split()[2] for line in selected.text.splitlines() if line.startswith("# TYPE")}
    assert types == {"http_requests_total", *(["api_errors_total"] if caller.repeats else [])}
    head = ask(metrics, Call("HEAD", "/api/metrics", (TOKEN,)), caller)
    assert (head.status, head.body) == (200, b"")
    for headers in ((), (("Authorization", "Bearer x"),)):
        refused = ask(metrics, Call("GET", "/api/metrics", headers), caller)
        assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
    posted = ask(metrics, Call("POST", "/api/metrics", (TOKEN,), b"x"), caller)
    assert (posted.status, posted.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("stage", ["prod", "api"])
def test_a_stage_is_no_part_of_the_route(content: LambdaFunction, metrics: LambdaFunction, stage: str) -> None:
    """With a stage an HTTP API works as without; the stage is in addresses, and in no label."""
    created = ask(content, create(stage=stage))
    assert (created.status, created.headers["location"]) == (201, f"/{stage}/api/content/hello")
    assert ask(content, read(stage=stage)).status == 200
    assert ask(content, Call("GET", "/other", (TENANT,), stage=stage)).status == 404
    page = ask(metrics, scrape(stage=stage)).text
    assert 'http_requests_total{method="GET",route="/api/content/{slug}",status="200"} 1\n' in page
    assert 'http_requests_total{method="GET",route="__unmatched__",status="404"} 1\n' in page
    assert f"/{stage}/api" not in page
