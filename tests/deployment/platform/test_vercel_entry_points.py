"""A project with each entry point, instrumented in one line, built by Vercel's builder and run by its runtime."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.deployment.platform.deployment import Deployment
from tests.deployment.platform.entry_point import ANSWER, ENTRY_POINTS, EntryPoint, requests_by_outcome, stored
from tests.deployment.platform.vercel_instance import VercelInstance
from tests.deployment.platform.vercel_router import route

pytestmark = pytest.mark.long


@pytest.fixture(params=ENTRY_POINTS)
def entry_point(request: pytest.FixtureRequest) -> EntryPoint:
    """Return each entry point in turn."""
    return ENTRY_POINTS[request.param]


def ask(instance: VercelInstance, entry_point: EntryPoint, kind: str = "whole", status: int = 200) -> None:
    """Send a request, and wait for the end of its invocation."""
    answer = instance.request("GET", entry_point.answer.format(kind=kind, status=status))
    assert (answer.response.status_code, answer.response.text) == (status, ANSWER), instance.ipc.log
    instance.ipc.wait_until_ended(answer.invocation)


def ask_for_an_error(instance: VercelInstance, entry_point: EntryPoint) -> None:
    """Send a request that raises, and wait for the end of its invocation."""
    if entry_point.answers_errors:
        answer = instance.request("GET", entry_point.broken)
        assert answer.response.status_code == 500
        instance.ipc.wait_until_ended(answer.invocation)
    else:
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            instance.request("GET", entry_point.broken)
        instance.ipc.wait_until_ended(instance.requests)


def test_the_builder_finds_each_form(entry_points: Deployment) -> None:
    """`app = instrument(Flask(...))`, a decorated class, a decorated function: each file becomes a function."""
    files = (entry_points.project.source / "api").glob("*.py")
    assert set(entry_points.build.functions) == {f"api/{file.stem}" for file in files}


def test_a_path_leads_to_its_function(entry_points: Deployment, entry_point: EntryPoint) -> None:
    """A client's request below the function's path reaches it."""
    assert route(entry_points.build, entry_point.broken.partition("?")[0]).function == entry_point.function


def test_requests_are_counted_exactly(entry_points: Deployment, entry_point: EntryPoint, redis_url: str) -> None:
    """Each request is counted once, with the status that its client got, and so are the app's own metrics."""
    with entry_points.instance(entry_point.function, redis_url) as instance:
        for kind in entry_point.kinds:
            for status in (200, 201, 404, 503):
                ask(instance, entry_point, kind, status)
        ask_for_an_error(instance, entry_point)
    each = len(entry_point.kinds)
    page = entry_points.scrape(redis_url)
    requests = {name: value for name, value in page.items() if name.startswith("http_requests_total{")}
    assert requests_by_outcome(requests) == {
        ("GET", "200"): each,
        ("GET", "201"): each,
        ("GET", "404"): each,
        ("GET", "503"): each,
        ("GET", "500"): 1,
    }
    assert page["items_read_total"] == 4 * each
    times = {name: value for name, value in page.items() if name.startswith("http_request_duration_seconds_count")}
    assert sum(times.values()) == 4 * each + 1


def test_a_client_that_leaves_a_stream_is_no_error(
    entry_points: Deployment, entry_point: EntryPoint, redis_url: str
) -> None:
    """A client that hangs up during the response is counted with its status, once, and spends no error budget."""
    with entry_points.instance(entry_point.function, redis_url) as instance:
        instance.ipc.wait_until_ended(instance.leave(entry_point.answer.format(kind="endless-stream", status=200)))
    assert requests_by_outcome(asyncio.run(stored(redis_url, "http_requests_total"))) == {("GET", "200"): 1}
    assert asyncio.run(stored(redis_url, "api_errors_total")) == {}
    assert asyncio.run(stored(redis_url, "items_read_total")) == {"items_read_total": 1}


def test_routes_are_templates(entry_points: Deployment, entry_point: EntryPoint, redis_url: str) -> None:
    """A request is counted under the pattern that the framework has matched, or under the path of a handler's file."""
    with entry_points.instance(entry_point.function, redis_url) as instance:
        ask(instance, entry_point)
        ask_for_an_error(instance, entry_point)
    assert set(asyncio.run(stored(redis_url, "http_requests_total"))) == {
        f'http_requests_total{{method="GET",route="{entry_point.answer_route}",status="200"}}',
        f'http_requests_total{{method="GET",route="{entry_point.broken_route}",status="500"}}',
    }


def test_the_type_of_an_exception_is_known(entry_points: Deployment, entry_point: EntryPoint, redis_url: str) -> None:
    """An exception that the framework has answered with 500 is counted under its class."""
    with entry_points.instance(entry_point.function, redis_url) as instance:
        ask_for_an_error(instance, entry_point)
    assert asyncio.run(stored(redis_url, "api_errors_total")) == {
        f'api_errors_total{{method="GET",route="{entry_point.broken_route}",type="LookupError"}}': 1
    }
