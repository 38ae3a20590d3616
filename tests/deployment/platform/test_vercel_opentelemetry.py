"""Functions that count with OpenTelemetry, on Vercel's runtime: many short instances make one right series."""

from __future__ import annotations

import pytest

from tests.deployment.platform.deployment import Deployment
from tests.support.proxy import Proxy

pytestmark = pytest.mark.long

INSTANCES, REQUESTS = 12, 3
SCOPE = 'otel_scope_name="shop"'


def test_many_short_instances_make_one_series(telemetry: Deployment, redis_url: str) -> None:
    """FastAPI and Flask under OpenTelemetry's instrumentation: each request counts once, whatever instance had it."""
    for _ in range(INSTANCES):
        for function, path in (("api/shop", "/api/shop/items/7"), ("api/orders", "/api/orders/7")):
            with telemetry.instance(function, redis_url) as instance:
                for _ in range(REQUESTS):
                    answer = instance.request("GET", path)
                    assert (answer.response.status_code, answer.response.text) == (200, "7"), instance.ipc.log
                    instance.ipc.wait_until_ended(answer.invocation)
    page = telemetry.scrape(redis_url)
    requests = INSTANCES * REQUESTS
    assert page[telemetry.project.own_sample] == 2 * requests
    assert page[f"requests_seen_total{{{SCOPE}}}"] == requests
    # The shop takes two from it, and an order brings three.
    assert page[f"stock{{{SCOPE}}}"] == requests
    assert page[f'item_price_EUR_bucket{{{SCOPE},le="1.0"}}'] == 0
    assert page[f'item_price_EUR_bucket{{{SCOPE},le="10.0"}}'] == requests
    assert page[f"item_price_EUR_sum{{{SCOPE}}}"] == 7 * requests
    for framework, route in (("fastapi", "/api/shop/items/{number}"), ("flask", "/api/orders/<int:number>")):
        # One of its labels is the port, which each instance here has for itself.
        theirs = [
            value
            for name, value in page.items()
            if name.startswith("http_server_duration_milliseconds_count") and f"instrumentation.{framework}" in name
        ]
        assert sum(theirs) == requests
        assert page[f'http_requests_total{{method="GET",route="{route}",status="200"}}'] == requests
    assert {value for name, value in page.items() if name.startswith("http_server_active_requests")} == {0}


def test_a_request_is_one_round_trip(telemetry: Deployment, proxy: Proxy) -> None:
    """A warm request sends all that is counted in one command, after its response."""
    for function, path in (("api/shop", "/api/shop/items/7"), ("api/orders", "/api/orders/7")):
        with telemetry.instance(function, proxy.url) as instance:
            for _ in range(3):
                proxy.reset_counts()
                answer = instance.request("GET", path)
                instance.ipc.wait_until_ended(answer.invocation)
            assert proxy.round_trips == 1


def test_metrics_that_are_off(telemetry: Deployment, proxy: Proxy) -> None:
    """The apps answer, and not one command is sent."""
    for function, path in (("api/shop", "/api/shop/items/7"), ("api/orders", "/api/orders/7")):
        with telemetry.instance(function, proxy.url, ENABLE_METRICS="false") as instance:
            answer = instance.request("GET", path)
            assert (answer.response.status_code, answer.response.text) == (200, "7"), instance.ipc.log
            instance.ipc.wait_until_ended(answer.invocation)
    assert proxy.connections == 0
