"""The option `labels` of `instrument`, one contract for every entry point that answers HTTP requests."""

from __future__ import annotations

import logging
import re

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse

from lib.kairo_metrics.delivery import process_pipeline
from lib.kairo_metrics.exposition.negotiate import choose_format
from lib.kairo_metrics.scrape.collector import Limits, collect
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.entry_points import APPS, Act, EntryPoint
from tests.support.instance import samples, settings
from tests.support.recording import Recording

pytestmark = pytest.mark.usefixtures("fresh_catalogue", "recording")


@pytest.fixture(params=APPS)
def app(request: pytest.FixtureRequest) -> EntryPoint:
    """Return each entry point that answers HTTP requests in turn."""
    return APPS[request.param]


async def test_labels_are_values_and_functions(app: EntryPoint, recording: Recording) -> None:
    """A label's value is a constant, or comes from the request, or from the request and the response."""
    labels = {
        "team": "shop",
        "tenant": lambda request: request.headers.get("x-tenant"),
        "what": lambda request, response: f"{request.method} {request.path} {request.route} {response.status_code}",
        "cache": lambda _request, response: response.headers.get("X-CACHE", "none"),
    }
    target = app.measure(app.build(Act(status=201, headers=(("X-Cache", "hit"),))), labels=labels, sizes=True)
    await app.call(target, headers=[("X-Tenant", "acme")])
    expected = (
        'cache="hit",{}method="GET",route="__unmatched__",{}team="shop",tenant="acme",{}what="GET /a __unmatched__ 201"'
    )
    assert await recording.counted("http_requests_total") == {
        "http_requests_total{" + expected.format("", 'status="201",', "") + "}": 1
    }
    for family in ("http_request_duration_seconds", "http_request_size_bytes", "http_response_size_bytes"):
        assert await recording.counted(f"{family}_count") == {f"{family}_count{{{expected.format('', '', '')}}}": 1}
    zero = "api_errors_total{" + expected.format("", "", 'type="http_500",') + "}"
    assert await recording.samples("api_errors_total") == {zero: 0}


async def test_the_labels_of_a_failed_request_are_there(app: EntryPoint, recording: Recording) -> None:
    """An exception before the response begins is a 500 without headers."""
    labels = {"status_of_response": lambda _request, response: f"{response.status_code} {len(response.headers)}"}
    with pytest.raises(LookupError):
        await app.call(app.measure(app.build(Act(error=LookupError())), labels=labels))
    (sample,) = await recording.counted("api_errors_total")
    assert 'status_of_response="500 0"' in sample


async def test_requests_in_progress_have_the_labels_that_are_known(app: EntryPoint, recording: Recording) -> None:
    """The gauge has the labels whose values are known when a request begins."""
    labels = {"team": "shop", "by": lambda request: request.method.lower(), "code": lambda _q, r: r.status_code}
    await app.call(app.measure(app.build(Act()), labels=labels, in_progress=True))
    shown = 'http_requests_in_progress{by="get",method="GET",team="shop"}'
    assert await recording.samples("http_requests_in_progress") == {shown: 0}


async def test_two_apps_may_know_a_label_at_different_times(app: EntryPoint, recording: Recording) -> None:
    """One has it from the request, the other from the response: then it is empty while a request is in progress."""
    early = app.measure(app.build(Act()), labels={"user": lambda _request: "u1"}, in_progress=True)
    late = app.measure(app.build(Act()), labels={"user": lambda _request, _response: "u2"}, in_progress=True)
    for target in (early, late):
        await app.call(target)
    counts = await recording.counted("http_requests_total")
    assert [re.findall(r'user="([^"]*)"', sample)[0] for sample in counts] == ["u1", "u2"]
    in_progress = await samples(recording.store, "http_requests_in_progress")
    assert {re.findall(r'user="([^"]*)"', sample)[0]: value for sample, value in in_progress.items()} == {
        "u1": 0,
        "": 0,
    }


async def test_a_label_has_few_values(app: EntryPoint, caplog: pytest.LogCaptureFixture) -> None:
    """What exceeds the bound counts as `__overflow__`, and the log says so once; no request is lost."""
    process_pipeline.close_pipeline()
    chosen = settings(max_label_values=3)
    store = MemoryStore(chosen)
    target = app.measure(
        app.build(Act()), settings=chosen, store=store, labels={"user": lambda request: request.headers["x-user"]}
    )
    with caplog.at_level(logging.WARNING, "kairo_metrics"):
        for number in range(10):
            await app.call(target, headers=[("X-User", f"u{number}")])
        await app.call(target, headers=[("X-User", "u1")])
    found = await samples(store, "http_requests_total")
    by_user = {re.findall(r'user="([^"]*)"', sample)[0]: value for sample, value in found.items()}
    assert by_user == {"u0": 1, "u1": 2, "u2": 1, "__overflow__": 7}
    assert [record.getMessage() for record in caplog.records if "user" in record.getMessage()] == [
        "the label 'user' has more than 3 values, or one of over 200 characters; these count as __overflow__"
    ]


async def test_a_label_whose_function_fails_takes_no_request_down(
    app: EntryPoint, recording: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    """The request is answered and counted, and the log says once which label it is."""
    target = app.measure(app.build(Act()), labels={"user": lambda request: request.headers["x-user"]})
    with caplog.at_level(logging.WARNING, "kairo_metrics"):
        for _ in range(3):
            assert (await app.call(target)).body == b"hello"
    (sample,) = await recording.counted("http_requests_total")
    assert 'user="__unknown__"' in sample
    assert len([record for record in caplog.records if "'user'" in record.getMessage()]) == 1


async def test_a_label_whose_function_must_be_awaited(
    app: EntryPoint, recording: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    """A function that hides an async one gives no value of its own to each request, and no warning of Python."""

    async def user_of(name: str) -> str:
        return name

    target = app.measure(app.build(Act()), labels={"user": lambda request: user_of(request.path)})
    with caplog.at_level(logging.WARNING, "kairo_metrics"):
        for _ in range(2):
            assert (await app.call(target)).body == b"hello"
    (sample,) = await recording.counted("http_requests_total")
    assert 'user="__unknown__"' in sample
    assert "must be awaited" in caplog.text


async def test_bytes_are_text(app: EntryPoint, recording: Recording) -> None:
    """The headers in an ASGI scope are bytes, and a label shows them as text."""
    target = app.measure(app.build(Act()), labels={"plan": lambda _request: "größe".encode()})
    await app.call(target)
    (sample,) = await recording.counted("http_requests_total")
    assert 'plan="größe"' in sample


HOSTILE = ['say "hi"\n', "back\\slash", "nul\x00", "\ud800", "größe", "", " ", "a" * 201, b"bytes", None, 5, ["a"]]


async def test_whatever_a_function_returns_the_page_is_valid(app: EntryPoint, recording: Recording) -> None:
    """Values that a client chooses may be anything: each request is counted, and a strict parser reads the page."""
    values = iter(HOSTILE * 2)
    labels = {"first": lambda _request: next(values), "second": lambda _request, _response: next(values)}
    target = app.measure(app.build(Act()), labels=labels, in_progress=True, sizes=True)
    for _ in HOSTILE:
        assert (await app.call(target)).body == b"hello"
    await recording.pipeline.flusher.aflush()
    taken = await collect(recording.store, Limits(3600))
    form = choose_format("application/openmetrics-text;version=1.0.0")
    families = {family.name: family for family in parse(b"".join(form.render(taken.page)).decode())}
    for name in ("http_requests", "http_request_duration_seconds", "http_request_size_bytes"):
        counts = [one.value for one in families[name].samples if one.name.endswith(("_total", "_count"))]
        assert sum(counts) == len(HOSTILE)
