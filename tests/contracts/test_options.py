"""The options of `instrument`, one contract for every entry point that answers HTTP requests."""

from __future__ import annotations

import asyncio
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from lib.kairo_metrics import RequestOptions, Settings, aflush, instrument, measured
from lib.kairo_metrics.delivery import process_pipeline
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.entry_points import APPS, Act, EntryPoint
from tests.support.instance import samples, settings
from tests.support.recording import Recording

pytestmark = pytest.mark.usefixtures("fresh_catalogue", "recording")


@pytest.fixture(params=APPS)
def app(request: pytest.FixtureRequest) -> EntryPoint:
    """Return each entry point that answers HTTP requests in turn."""
    return APPS[request.param]


def bounds_of(found: dict[str, float]) -> list[str]:
    """Return the bounds of a histogram."""
    return sorted({bound for sample in found for bound in re.findall(r'le="([^"]+)"', sample)})


SKIPS: dict[str, tuple[Any, str, str]] = {
    "a path": (["/health"], "/health", "/healthy"),
    "one text instead of a list": ("/health", "/health", "/health/live"),
    "a glob": (["/static/*"], "/static/css/a.css", "/statics"),
    "one character": (["/v?/items"], "/v1/items", "/v12/items"),
    "a path with special characters": (["/a+b.c"], "/a+b.c", "/aab.c"),
    "a pattern": ([re.compile("internal/.*")], "/internal/x", "/intern/x"),
    "a pattern with an anchor": ([re.compile("^/admin$")], "/admin", "/admin/x"),
    "all but some paths": ([re.compile("^(?!/api/)")], "/other", "/api/items"),
    "a pattern that the word for no route has in it": ([re.compile("match")], "/matches", "/items"),
    "a path with an umlaut": (["/größe"], "/gr%C3%B6%C3%9Fe", "/gr"),
}


@pytest.mark.parametrize("case", SKIPS)
async def test_a_path_is_skipped(app: EntryPoint, recording: Recording, case: str) -> None:
    """Requests to a skipped path are answered and not counted; requests to a path that is like it are counted."""
    skip_paths, skipped, other = SKIPS[case]
    target = app.measure(app.build(Act()), skip_paths=skip_paths, in_progress=True, sizes=True)
    decoded = skipped if app is APPS["handler class"] else skipped.replace("%C3%B6", "ö").replace("%C3%9F", "ß")
    if app is APPS["wsgi"]:
        decoded = decoded.encode().decode("latin-1")
    for path in (decoded, other):
        assert (await app.call(target, "GET", path)).body == b"hello"
    assert sum((await recording.counted("http_requests_total")).values()) == 1
    assert sum((await recording.counted("http_request_duration_seconds_count")).values()) == 1
    assert sum((await recording.counted("http_response_size_bytes_count")).values()) == 1


async def test_a_query_does_not_keep_a_path_from_being_skipped(recording: Recording) -> None:
    """A handler class gets its path with the query, which does not matter."""
    app = APPS["handler class"]
    await app.call(app.measure(app.build(Act()), skip_paths=["/health"]), "GET", "/health?deep=1")
    assert await recording.counted("http_requests_total") == {}


async def test_what_a_skipped_request_counts_itself_is_sent(app: EntryPoint, recording: Recording) -> None:
    """A skipped request still sends what the app's own instruments have counted in it."""
    from prometheus_client import Counter

    name = f"work_while_skipped_{app.call.__name__.strip('_')}"
    work = Counter(name, "Work.")
    process_pipeline.open_pipeline()
    await app.call(app.measure(app.build(Act(work.inc)), skip_paths=["*"]))
    assert (await samples(recording.store, name))[f"{name}_total"] == 1


async def test_a_skipped_request_that_fails_is_no_error(app: EntryPoint, recording: Recording) -> None:
    """The exception of a skipped request passes through, and is not counted."""
    target = app.measure(app.build(Act(error=LookupError("no"))), skip_paths=["/a"])
    with pytest.raises(LookupError):
        await app.call(target)
    assert await recording.counted("api_errors_total") == {}


async def test_requests_without_a_route_are_skipped(app: EntryPoint, recording: Recording) -> None:
    """`__unmatched__` stands for all requests that match no route, as routes stand for theirs."""
    target = app.measure(app.build(Act()), skip_paths=["__unmatched__"], in_progress=True)
    await app.call(target)
    assert await recording.counted("http_requests_total") == {}
    assert await recording.counted("http_requests_in_progress") == {}


@pytest.mark.parametrize("methods", [["OPTIONS", "HEAD"], ["options", "h*"], [re.compile("^(OPTIONS|HEAD)$")], "*S"])
async def test_a_method_is_skipped(app: EntryPoint, recording: Recording, methods: Any) -> None:
    """Requests with a skipped method are not counted; the case of its letters does not matter."""
    target = app.measure(app.build(Act()), skip_methods=methods)
    for method in ("GET", "OPTIONS"):
        await app.call(target, method)
    assert list(await recording.counted("http_requests_total")) == [
        'http_requests_total{method="GET",route="__unmatched__",status="200"}'
    ]


async def test_only_chosen_statuses_are_counted(app: EntryPoint, recording: Recording) -> None:
    """With `status_codes`, requests with other statuses are in none of the metrics, and errors neither."""
    for status in (200, 204, 404, 500, 503):
        target = app.measure(app.build(Act(status=status)), status_codes=["2xx", 404, "503"])
        await app.call(target)
    assert app.outcomes_in(await recording.counted("http_requests_total")) == {"200": 1, "204": 1, "404": 1, "503": 1}
    assert app.errors_in(await recording.counted("api_errors_total")) == {"http_503": 1}
    assert sum((await recording.counted("http_request_duration_seconds_count")).values()) == 4


async def test_statuses_are_grouped(app: EntryPoint, recording: Recording) -> None:
    """With `group_status`, the label has the class of the status; the type of an error still has the status."""
    for status in (200, 204, 404, 503):
        await app.call(app.measure(app.build(Act(status=status)), group_status=True))
    assert app.outcomes_in(await recording.counted("http_requests_total")) == {"2xx": 2, "4xx": 1, "5xx": 1}
    assert app.errors_in(await recording.counted("api_errors_total")) == {"http_503": 1}


async def test_requests_in_progress_are_counted_while_they_run(app: EntryPoint, recording: Recording) -> None:
    """The gauge is 1 while a request is served, and 0 after it."""
    end = threading.Event()
    target = app.measure(app.build(Act(until=end)), in_progress=True)
    call = asyncio.create_task(app.call(target))
    try:
        while not await recording.counted("http_requests_in_progress"):
            assert not call.done()
            await asyncio.sleep(0.01)
        assert await recording.counted("http_requests_in_progress") == {'http_requests_in_progress{method="GET"}': 1}
    finally:
        end.set()
        await call
    assert await recording.samples("http_requests_in_progress") == {'http_requests_in_progress{method="GET"}': 0}


async def test_a_request_whose_client_leaves_is_no_longer_in_progress(app: EntryPoint, recording: Recording) -> None:
    """A client that hangs up ends a request, too."""
    await app.call(app.measure(app.build(Act(parts=(b"a",) * 3)), in_progress=True), leaves=True)
    assert await recording.samples("http_requests_in_progress") == {'http_requests_in_progress{method="GET"}': 0}


async def test_a_cancelled_request_is_no_longer_in_progress(recording: Recording) -> None:
    """A server that gives a request up ends it."""
    app = APPS["asgi"]

    begun = asyncio.Event()

    async def waiting(*_arguments: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    call = asyncio.create_task(app.call(instrument(waiting, in_progress=True)))
    await begun.wait()
    assert await recording.only("http_requests_in_progress") == 1
    call.cancel()
    await asyncio.wait({call})
    assert await recording.samples("http_requests_in_progress") == {'http_requests_in_progress{method="GET"}': 0}


async def test_a_request_that_fails_is_no_longer_in_progress(app: EntryPoint, recording: Recording) -> None:
    """An exception ends a request, too."""
    with pytest.raises(LookupError):
        await app.call(app.measure(app.build(Act(error=LookupError())), in_progress=True))
    assert await recording.counted("http_requests_in_progress") == {}


async def test_buckets_are_those_given(app: EntryPoint, recording: Recording) -> None:
    """The duration histogram has the bounds that were given, minutes as well."""
    await app.call(app.measure(app.build(Act()), buckets=[0.5, 30, 600, float("inf")]))
    found = await recording.samples("http_request_duration_seconds_bucket")
    assert bounds_of(found) == ["+Inf", "0.5", "30.0", "600.0"]


async def test_two_apps_may_choose_differently(app: EntryPoint, recording: Recording) -> None:
    """What concerns single requests is chosen for each app; the families have the same labels in both."""
    first = app.measure(app.build(Act()), labels={"app": "first"}, skip_paths=["/health"], group_status=True)
    second = app.measure(app.build(Act()), labels={"app": "second"}, sizes=True)
    third = app.measure(app.build(Act()))
    for target in (first, second, third):
        await app.call(target, "GET", "/health")
        await app.call(target, "GET", "/a")
    assert await recording.counted("http_requests_total") == {
        'http_requests_total{app="first",method="GET",route="__unmatched__",status="2xx"}': 1,
        'http_requests_total{app="second",method="GET",route="__unmatched__",status="200"}': 2,
        'http_requests_total{app="",method="GET",route="__unmatched__",status="200"}': 2,
    }
    assert await recording.only("http_response_size_bytes_count") == 2


async def test_the_same_app_keeps_its_first_options(
    app: EntryPoint, recording: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    """A second call for the same app changes nothing, and a line of the log says so if it chooses otherwise."""
    target = app.measure(app.build(Act()), skip_paths=["/a"])
    app.measure(target)
    app.measure(target, skip_paths=["/a"])
    assert caplog.records == []
    assert app.measure(target, skip_paths=["/b"]) is target
    assert "the first ones stay" in caplog.text
    await app.call(target)
    assert await recording.counted("http_requests_total") == {}


async def test_settings_choose_for_all_apps(app: EntryPoint) -> None:
    """Where a call does not choose, the settings do."""
    process_pipeline.close_pipeline()
    chosen = settings(
        options=RequestOptions(skip_paths=["/health"], labels={"team": "shop"}, group_status=True, buckets=[1, 2])
    )
    store = MemoryStore(chosen)
    target = app.measure(app.build(Act()), settings=chosen, store=store, group_status=False)
    for path in ("/health", "/a"):
        await app.call(target, "GET", path)
    assert await samples(store, "http_requests_total") == {
        'http_requests_total{method="GET",route="__unmatched__",status="200",team="shop"}': 1
    }
    assert bounds_of(await samples(store, "http_request_duration_seconds_bucket")) == ["+Inf", "1.0", "2.0"]


@pytest.mark.parametrize(
    ("given", "http", "function"),
    [
        ([5, 6], ["+Inf", "5.0", "6.0"], ["+Inf", "60.0"]),
        ({"http": [5]}, ["+Inf", "5.0"], ["+Inf", "60.0"]),
        ({"function": [7]}, ["+Inf", "1.0", "2.0"], ["+Inf", "7.0"]),
    ],
)
async def test_the_buckets_of_each_duration_are_chosen_by_themselves(
    given: Any, http: list[str], function: list[str]
) -> None:
    """A call that chooses those of requests leaves those of functions to their variable."""
    process_pipeline.close_pipeline()
    chosen = settings(options=RequestOptions(buckets={"http": [1, 2], "function": [60]}))
    store = MemoryStore(chosen)
    app = APPS["asgi"]
    await app.call(app.measure(app.build(Act()), settings=chosen, store=store, buckets=given))
    with measured("job"):
        pass
    await aflush(strict=True)
    assert bounds_of(await samples(store, "http_request_duration_seconds_bucket")) == http
    assert bounds_of(await samples(store, "function_duration_seconds_bucket")) == function


@pytest.mark.parametrize("enabled", [True, False])
async def test_a_wrong_option_is_an_error_with_metrics_on_and_off(app: EntryPoint, enabled: bool) -> None:
    """A mistake is found on a laptop, where metrics are off."""
    process_pipeline.close_pipeline()
    with pytest.raises(ValueError, match=r"skip_paths has '/static/\.\*', which looks like a regular expression"):
        instrument(app.build(Act()), settings=Settings(enabled=enabled), skip_paths=["/static/.*"])


# Everything that only an app with options needs. The rules are made once for each app.
OF_OPTIONS = {
    *("asgi_request", "body_sizes", "chosen_record", "counted_stream", "custom_labels", "exchange", "handler_request"),
    *("options", "skipped", "wsgi_request"),
}


async def test_what_is_not_chosen_costs_a_request_nothing(app: EntryPoint) -> None:
    """A request of an app calls no function of options that it has not; one of an app with options does."""

    async def called(**options: Any) -> set[str]:
        target = app.measure(app.build(Act()), **options)
        await app.call(target)
        files: set[str] = set()

        def note(frame: FrameType, event: str, _argument: object) -> None:
            if event == "call":
                files.add(Path(frame.f_code.co_filename).stem)

        threading.setprofile(note)  # of new threads alone, so the call gets one
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
        sys.setprofile(note)
        try:
            await app.call(target)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
        return files

    plain = await called(buckets=[1, 60], skip_paths=[], sizes=False)
    assert "http_record" in plain
    assert plain & OF_OPTIONS == set()
    assert await called(sizes=True, skip_paths=["/b"]) >= {"body_sizes", "chosen_record", "skipped", "exchange"}


async def test_a_websocket_is_skipped_by_its_path(recording: Recording) -> None:
    """A websocket to a skipped path works, and is not counted."""

    async def echo(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})

    target, sent = instrument(echo, skip_paths=["/live/*"]), []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    for path in ("/live/1", "/other"):
        await target({"type": "websocket", "path": path, "headers": [], "root_path": ""}, receive, send)
    assert sent == ["websocket.accept", "websocket.close"] * 2
    assert await recording.counted("websocket_connections_total") == {
        'websocket_connections_total{outcome="accepted",route="__unmatched__"}': 1
    }
