"""Who waits for a flush on Vercel's runtime: the invocation does, the client does not."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.deployment.platform.deployment import Deployment
from tests.deployment.platform.entry_point import ANSWER, ENTRY_POINTS, EntryPoint, requests_by_outcome, stored
from tests.deployment.platform.vercel_instance import Answer, VercelInstance
from tests.support.proxy import Proxy
from tests.support.variants import variants

CLIENTS = 40
# How long an end that should not come is waited for. A correct end can't come in this time, so no machine is too slow.
LATE_S = 0.3


@pytest.fixture(params=variants(ENTRY_POINTS, ["flask", "fastapi", "handler class"]))
def entry_point(request: pytest.FixtureRequest) -> EntryPoint:
    """Return each entry point in turn."""
    return ENTRY_POINTS[request.param]


def get(instance: VercelInstance, entry_point: EntryPoint, kind: str, status: int, method: str = "GET") -> Answer:
    """Send a request, and check its response."""
    answer = instance.request(method, entry_point.answer.format(kind=kind, status=status))
    body = ANSWER if method == "GET" else ""
    assert (answer.response.status_code, answer.response.text) == (status, body), instance.ipc.log
    assert ("content-length" in answer.response.headers) == _is_sized(entry_point, kind, method)
    return answer


def _is_sized(entry_point: EntryPoint, kind: str, method: str) -> bool:
    """Return whether a response has a Content-Length: a list of one chunk gets it, as with any WSGI server."""
    is_list = kind == "unsized" and entry_point is ENTRY_POINTS["wsgi"] and method == "GET"
    return kind in {"whole", "sized-stream"} or is_list


def test_a_client_waits_for_no_flush(entry_points: Deployment, entry_point: EntryPoint, proxy: Proxy) -> None:
    """The client has its whole response before the flush reaches Redis, whatever the response, and the end comes later.

    With and without a Content-Length, in one piece and as a stream, GET and HEAD, 200 and 500.
    """
    counted: Counter[tuple[str, str]] = Counter()
    with entry_points.instance(entry_point.function, proxy.url) as instance:
        instance.ipc.wait_until_ended(get(instance, entry_point, "whole", 200).invocation)  # it connects
        counted["GET", "200"] += 1
        for method, status, kind in itertools.product(("GET", "HEAD"), (200, 500), entry_point.kinds):
            proxy.hold()
            before = proxy.round_trips
            answer = get(instance, entry_point, kind, status, method)
            proxy.wait_until_held()
            assert not instance.ipc.has_ended(answer.invocation)
            assert proxy.round_trips == before
            proxy.let_go()
            instance.ipc.wait_until_ended(answer.invocation)
            assert proxy.round_trips == before + 1
            counted[method, str(status)] += 1
        instance.freeze()
        assert requests_by_outcome(asyncio.run(stored(proxy.url, "http_requests_total"))) == counted


def test_an_instance_that_freezes_at_the_end_loses_nothing(
    entry_points: Deployment, entry_point: EntryPoint, proxy: Proxy
) -> None:
    """The first request of an instance ends only after its flush, 300 ms away, was applied; then it may be frozen."""
    proxy.request_delay_ms = 150
    proxy.reply_delay_ms = 150
    with entry_points.instance(entry_point.function, proxy.url) as instance:
        proxy.hold()
        answer = get(instance, entry_point, "stream", 200)
        proxy.wait_until_held()
        assert not instance.ipc.ends_within(answer.invocation, LATE_S)
        proxy.let_go()
        instance.ipc.wait_until_ended(answer.invocation)
        instance.freeze()
        assert requests_by_outcome(asyncio.run(stored(proxy.url, "http_requests_total"))) == {("GET", "200"): 1}
        assert asyncio.run(stored(proxy.url, "items_read_total")) == {"items_read_total": 1}


@pytest.mark.parametrize("name", [name for name, point in ENTRY_POINTS.items() if point.answers_errors])
def test_a_client_waits_for_no_flush_after_an_exception(entry_points: Deployment, name: str, proxy: Proxy) -> None:
    """The client has the framework's answer to an exception before the flush reaches Redis."""
    with entry_points.instance(ENTRY_POINTS[name].function, proxy.url) as instance:
        proxy.hold()
        answer = instance.request("GET", ENTRY_POINTS[name].broken)
        assert answer.response.status_code == 500
        proxy.wait_until_held()
        assert not instance.ipc.has_ended(answer.invocation)
        proxy.let_go()
        instance.ipc.wait_until_ended(answer.invocation)
        assert requests_by_outcome(asyncio.run(stored(proxy.url, "http_requests_total"))) == {("GET", "500"): 1}


def test_a_handler_class_that_raises_closes_its_connection_before_the_flush(
    entry_points: Deployment, proxy: Proxy
) -> None:
    """The platform, which answers for it, learns of the exception without waiting for Redis."""
    with entry_points.instance("api/hello", proxy.url) as instance:
        proxy.hold()
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            instance.request("GET", ENTRY_POINTS["handler class"].broken)
        proxy.wait_until_held()
        assert not instance.ipc.has_ended(instance.requests)
        proxy.let_go()
        instance.ipc.wait_until_ended(instance.requests)
        assert requests_by_outcome(asyncio.run(stored(proxy.url, "http_requests_total"))) == {("GET", "500"): 1}


def test_requests_of_one_instance_share_flushes(
    entry_points: Deployment, entry_point: EntryPoint, proxy: Proxy
) -> None:
    """Many requests at once to one instance need a few round trips over one connection, and are all counted.

    One of them waits for each flush, and the others end at once. When the last one has ended, the instance may freeze.
    """
    with entry_points.instance(entry_point.function, proxy.url) as instance, ThreadPoolExecutor(CLIENTS) as clients:
        instance.ipc.wait_until_ended(get(instance, entry_point, "whole", 200).invocation)
        proxy.reset_counts()
        proxy.hold()
        kinds = itertools.cycle(entry_point.kinds)
        answers = list(
            clients.map(lambda kind: get(instance, entry_point, kind, 200), itertools.islice(kinds, CLIENTS))
        )
        assert not all(instance.ipc.has_ended(answer.invocation) for answer in answers)
        proxy.let_go()
        for answer in answers:
            instance.ipc.wait_until_ended(answer.invocation)
        instance.freeze()
        assert proxy.connections == 0
        # The first request's own, one for those that wait for it, and at most a few for those not counted by then.
        assert proxy.round_trips <= CLIENTS // 8
        found = requests_by_outcome(asyncio.run(stored(proxy.url, "http_requests_total")))
        assert found == {("GET", "200"): CLIENTS + 1}
        assert asyncio.run(stored(proxy.url, "items_read_total")) == {"items_read_total": CLIENTS + 1}


def test_a_wsgi_app_that_raises_ends_after_its_flush(entry_points: Deployment, proxy: Proxy) -> None:
    """The runtime gives no access to its connection, so the platform, which answers for it, waits for this flush."""
    with entry_points.instance("api/plain", proxy.url) as instance, ThreadPoolExecutor() as client:
        proxy.hold()
        answer = client.submit(instance.request, "GET", ENTRY_POINTS["wsgi"].broken)
        proxy.wait_until_held()
        assert not answer.done()
        proxy.let_go()
        assert isinstance(answer.exception(), httpx.RemoteProtocolError)
        instance.ipc.wait_until_ended(instance.requests)
        assert requests_by_outcome(asyncio.run(stored(proxy.url, "http_requests_total"))) == {("GET", "500"): 1}
