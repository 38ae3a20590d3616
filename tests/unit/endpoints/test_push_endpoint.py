"""`/api/push` as a cron meets it, in front of receivers that take, refuse, stall and hang up."""

from __future__ import annotations

import base64
import itertools
import logging
import time
from typing import Any

import httpx
import pytest
from prometheus_client import Counter
from starlette.applications import Starlette

from lib.kairo_metrics import Settings, install, push_app
from lib.kairo_metrics.config.push_settings import PushSettings
from lib.kairo_metrics.endpoints import push_packages, receiver_client
from lib.kairo_metrics.endpoints.receiver_client import ReceiverClient
from lib.kairo_metrics.scrape.state_reader import StateReader, Upkeep
from tests.support.adopted import adopted_registry
from tests.support.ports import free_port
from tests.support.push_settings import SECRET, push_settings
from tests.support.recording import Recording
from tests.support.write_receiver import Reply, WriteReceiver, decoded, write_receiver

ALLOWED = {"Authorization": f"Bearer {SECRET}"}


def app_of(recording: Recording, pushes: PushSettings) -> Starlette:
    """Build the endpoint on the test's own pipeline."""
    return push_app(settings=recording.pipeline.settings, store=recording.store, push_settings=pushes)


async def call(app: Starlette, method: str = "GET", path: str = "/api/push", **headers: str) -> httpx.Response:
    """Ask for a push."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cms.example.org") as client:
        return await client.request(method, path, headers=headers)


async def test_a_call_pushes_what_the_instances_have_counted(recording: Recording, receiver: WriteReceiver) -> None:
    """One call of the cron job sends every sample with the time of the store's clock, and answers with their number."""
    registry = adopted_registry()
    counter = Counter("pushed_jobs_total", "Jobs.", ["queue"], registry=registry)
    install(registry)
    counter.labels("mail").inc(3)
    answer = await call(app_of(recording, push_settings(receiver.url)), **ALLOWED)
    assert answer.status_code == 200, answer.text
    samples = decoded(receiver.received[-1].body)
    jobs = [(value, at_ms) for labels, value, at_ms in samples if labels["__name__"] == "pushed_jobs_total"]
    assert [value for value, _ in jobs] == [3]
    assert answer.text == f"pushed {len(samples)} samples of {jobs[0][1] / 1000:.3f} to 127.0.0.1\n"
    assert {labels["job"] for labels, _, _ in samples} == {"kairo"}
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("login", "header"),
    [
        ({"token": "glc_abc"}, "Bearer glc_abc"),
        ({"username": "123456", "password": "glc_ü"}, "Basic " + base64.b64encode("123456:glc_ü".encode()).decode()),
    ],
)
async def test_both_logins_of_grafana_cloud_are_sent(
    recording: Recording, receiver: WriteReceiver, login: dict[str, str], header: str
) -> None:
    """A token goes as a bearer, a username with its password as a basic login."""
    await call(app_of(recording, push_settings(receiver.url, **login)), **ALLOWED)
    assert receiver.received[0].headers["Authorization"] == header


@pytest.mark.parametrize(
    ("pushes", "headers", "status", "says"),
    [
        (push_settings(None), ALLOWED, 404, "METRICS_REMOTE_WRITE_URL"),
        (push_settings("http://127.0.0.1:1", protocol="otlp"), ALLOWED, 404, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"),
        (push_settings("http://127.0.0.1:1", cron_secret=None), ALLOWED, 503, "CRON_SECRET"),
        (push_settings("http://127.0.0.1:1"), {}, 401, "Authorization"),
        (push_settings("http://127.0.0.1:1"), {"Authorization": "Bearer wrong"}, 401, "Authorization"),
        (push_settings("http://127.0.0.1:1"), {"Authorization": SECRET}, 401, "Authorization"),
    ],
)
async def test_whoever_may_not_push_is_told_why(
    recording: Recording, pushes: PushSettings, headers: dict[str, str], status: int, says: str
) -> None:
    """Without a receiver, without a secret or with a wrong one nothing is read or sent, and the answer names it."""
    answer = await call(app_of(recording, pushes), **headers)
    assert (answer.status_code, says in answer.text) == (status, True)
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


async def test_metrics_that_are_off_are_not_pushed() -> None:
    """With ENABLE_METRICS not true the endpoint answers 404."""
    app = push_app(settings=Settings(enabled=False), push_settings=push_settings("http://127.0.0.1:1"))
    assert (await call(app, **ALLOWED)).status_code == 404


async def test_other_methods_are_refused(recording: Recording) -> None:
    """A cron's call is a GET or a POST."""
    app = app_of(recording, push_settings("http://127.0.0.1:1"))
    assert (await call(app, "DELETE", **ALLOWED)).status_code == 405
    assert (await call(app, "HEAD", **ALLOWED)).status_code == 405
    assert (await call(app, "POST")).status_code == 401


@pytest.mark.parametrize("fault", [Reply(503, "not now"), Reply(429, "slower"), Reply(0)])
async def test_a_receiver_that_stumbles_gets_the_same_bytes_again(recording: Recording, fault: Reply) -> None:
    """After 5xx, 429 or a lost answer the same body is sent again, so that no sample is new the second time."""
    with write_receiver(fault, Reply()) as receiver:
        answer = await call(app_of(recording, push_settings(receiver.url)), **ALLOWED)
    assert answer.status_code == 200, answer.text
    first, second = receiver.received
    assert first.body == second.body


async def test_a_refusal_is_passed_on_and_not_repeated(recording: Recording, caplog: pytest.LogCaptureFixture) -> None:
    """The receiver's reason is in the answer and in the log, and the body is sent only once."""
    with write_receiver(Reply(401, "invalid token\nmore")) as receiver, caplog.at_level(logging.ERROR):
        answer = await call(app_of(recording, push_settings(receiver.url, token="hidden-token")), **ALLOWED)
    assert (answer.status_code, len(receiver.received)) == (502, 1)
    first, second = answer.text.splitlines()
    assert first.startswith("pushed 0 samples ")
    sent = decoded(receiver.received[0].body)
    assert second == f"not confirmed {len(sent)}: 127.0.0.1 answered 401: invalid token"
    assert "127.0.0.1 answered 401" in caplog.text
    assert "hidden-token" not in answer.text + caplog.text


async def test_a_redirect_is_named_and_not_followed(recording: Recording, receiver: WriteReceiver) -> None:
    """The login goes nowhere but to the host that was set."""
    with write_receiver(Reply(308, headers={"Location": receiver.url})) as moved:
        answer = await call(app_of(recording, push_settings(moved.url, token="t")), **ALLOWED)
    assert answer.status_code == 502
    assert f"answered 308: a redirect to {receiver.url}" in answer.text
    assert receiver.received == []


class RunningClock:
    """A clock that is 30 s later each time that it is asked."""

    def __init__(self) -> None:
        self._late_s = itertools.count(30, 30)

    def monotonic(self) -> float:
        return time.monotonic() + next(self._late_s)


async def test_a_receiver_that_is_away_costs_no_more_than_the_time_limit(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The push ends in time, with an answer that names the host."""
    monkeypatch.setattr(receiver_client, "time", RunningClock())
    url = f"http://127.0.0.1:{free_port()}/api/v1/write"
    # An attempt takes 30 s of the clock, and so does a pause: there is time for two attempts.
    answer = await call(app_of(recording, push_settings(url, timeout_ms=100_000)), **ALLOWED)
    assert answer.status_code == 502
    assert "127.0.0.1 could not be reached" in answer.text


async def test_a_receiver_that_answers_byte_by_byte_costs_no_more_either(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte arrives in time, but the whole answer does not: the push ends and says so."""
    monkeypatch.setattr(receiver_client, "time", RunningClock())
    with write_receiver(Reply(dripped=60)) as receiver:
        # The first attempt begins at 30 s of the clock, and has the rest of the time.
        answer = await call(app_of(recording, push_settings(receiver.url, timeout_ms=31_000)), **ALLOWED)
    assert answer.status_code == 502
    assert "127.0.0.1 has not answered in time" in answer.text


async def test_what_a_receiver_says_can_not_garble_the_log(recording: Recording) -> None:
    """Control characters in its answer become spaces."""
    with write_receiver(Reply(400, "bad\x1b[2J\rsample")) as receiver:
        answer = await call(app_of(recording, push_settings(receiver.url)), **ALLOWED)
    assert "answered 400: bad [2J sample" in answer.text


async def test_pushes_are_counted_by_their_outcome(recording: Recording, receiver: WriteReceiver) -> None:
    """kairo_pushes_total shows the operator whether the pushes arrive."""
    before = await recording.samples("kairo_pushes_total")
    await call(app_of(recording, push_settings(receiver.url)), **ALLOWED)
    with write_receiver(Reply(400, "out of order sample")) as refusing:
        await call(app_of(recording, push_settings(refusing.url)), **ALLOWED)
    after = await recording.samples("kairo_pushes_total")
    grown = {line: count - before.get(line, 0) for line, count in after.items()}
    assert {line: by for line, by in grown.items() if by} == {
        'kairo_pushes_total{outcome="done"}': 1,
        'kairo_pushes_total{outcome="refused"}': 1,
    }


async def test_an_unexpected_error_is_counted_as_a_failed_push(
    recording: Recording, receiver: WriteReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A push that ends with an error that nothing foresaw is on the page like any other that failed."""

    def fail(*_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(ReceiverClient, "send", fail)
    before = await recording.samples("kairo_pushes_total")
    with pytest.raises(ValueError, match="a bug"):
        await call(app_of(recording, push_settings(receiver.url)), **ALLOWED)
    after = await recording.samples("kairo_pushes_total")
    assert sum(after.values()) - sum(before.values()) == 1


async def test_a_push_does_the_upkeep_of_the_store_after_its_answer(
    recording: Recording, receiver: WriteReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the metrics are pushed and never scraped, stale series are deleted too, and not before the answer."""
    order: list[str] = []

    async def maintain(_: StateReader, upkeep: Upkeep) -> None:
        order.append(f"upkeep within {upkeep.patience_s > 0}")

    monkeypatch.setattr(StateReader, "maintain", maintain)
    app = app_of(recording, push_settings(receiver.url))

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        async def noting(message: Any) -> None:
            order.append(message["type"])
            await send(message)

        await app(scope, receive, noting)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(watched), base_url="http://cms.example.org") as client:
        assert (await client.get("/api/push", headers=ALLOWED)).status_code == 200
    assert order == ["http.response.start", "http.response.body", "upkeep within True"]
    assert len(receiver.received) == 1


async def test_the_answer_says_what_was_taken_and_names_what_was_refused(
    recording: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    """One series is refused for good: all others arrive; answer, log and a counter say which one and why."""
    registry = adopted_registry()
    counter = Counter("partly_pushed_total", "Jobs.", ["queue"], registry=registry)
    install(registry)
    for queue in ("bad", "good"):
        counter.labels(queue).inc()
    with write_receiver() as receiver, caplog.at_level(logging.ERROR):
        receiver.refuse_label("bad", Reply(400, "out of order sample"))
        answer = await call(app_of(recording, push_settings(receiver.url)), **ALLOWED)
        arrived = [labels for request in receiver.received for labels, _, _ in decoded(request.body)]
    assert answer.status_code == 502
    first, second = answer.text.splitlines()
    assert first.startswith("pushed ")
    assert second.startswith("refused 1: ")
    assert 'partly_pushed_total{instance="test",job="kairo",queue="bad"}: 127.0.0.1 answered 400: out of' in second
    assert second in caplog.text
    assert {"good", "bad"} <= {labels.get("queue") for labels in arrived}
    counts = await recording.samples("kairo_pushed_samples_total")
    assert counts['kairo_pushed_samples_total{outcome="refused"}'] == 1
    assert counts['kairo_pushed_samples_total{outcome="taken"}'] == float(first.split()[1])


async def test_the_version_that_a_receiver_takes_is_remembered(recording: Recording) -> None:
    """The second push of an instance begins with remote write 1.0 if the receiver knows no other."""
    with write_receiver(Reply(415), Reply(204)) as receiver:
        app = app_of(recording, push_settings(receiver.url))
        for _ in range(2):
            assert (await call(app, **ALLOWED)).status_code == 200
    versions = [request.is_version_2 for request in receiver.received]
    assert versions[0]
    assert not any(versions[1:])


async def test_a_push_by_otlp_counts_data_points(recording: Recording, receiver: WriteReceiver) -> None:
    """The answer and the counters say the same as for remote write."""
    answer = await call(app_of(recording, push_settings(None, protocol="otlp", otlp_url=receiver.url)), **ALLOWED)
    assert answer.status_code == 200, answer.text
    assert answer.text.startswith(f"pushed {len(receiver.received[-1].samples)} data points of ")


async def test_what_a_receiver_has_to_remark_is_passed_on(
    recording: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    """A remark about samples that were taken is in the answer and in the log, and the push is done."""
    headers = {"Content-Type": "application/x-protobuf"}
    with write_receiver(Reply(200, "\n\x08\x12\x06renew!", headers=headers)) as receiver:
        answer = await call(app_of(recording, push_settings(None, protocol="otlp", otlp_url=receiver.url)), **ALLOWED)
    assert (answer.status_code, answer.text.splitlines()[1]) == (200, "127.0.0.1 said: renew!")
    assert "127.0.0.1 said: renew!" in caplog.text


async def test_a_missing_package_is_named(recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    """OTLP needs the package opentelemetry-proto; without it nothing is sent, and the answer says what to install."""

    def absent(*_: str) -> None:
        raise ModuleNotFoundError("No module named 'opentelemetry'")

    monkeypatch.setattr(push_packages, "import_module", absent)
    push_packages._otlp_flaw.cache_clear()
    settings = push_settings(None, protocol="otlp", otlp_url="http://127.0.0.1:1/v1/metrics")
    answer = await call(app_of(recording, settings), **ALLOWED)
    push_packages._otlp_flaw.cache_clear()
    assert answer.status_code == 503
    assert "No module named 'opentelemetry'; pip install opentelemetry-proto" in answer.text
