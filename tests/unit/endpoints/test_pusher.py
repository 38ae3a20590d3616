"""A push in each protocol, in front of receivers that take, refuse, stall, and know other versions."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from lib.kairo_metrics.config.push_settings import PROTOCOLS
from tests.support.pushing import Pushing, page
from tests.support.write_receiver import Received, Reply, WriteReceiver, request_2, write_receiver

UNSUPPORTED = Reply(415, "unsupported media type")
UNAWARE = Reply(204, headers={})
PROTOBUF = {"Content-Type": "application/x-protobuf"}


def values(received: list[Received]) -> list[float]:
    return sorted(value for request in received for labels, value, _ in request.samples if value)


@pytest.mark.parametrize(
    ("protocol", "headers"),
    [
        (
            "remote-write",
            {
                "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
                "Content-Encoding": "snappy",
                "X-Prometheus-Remote-Write-Version": "2.0.0",
            },
        ),
        (
            "remote-write-1",
            {
                "Content-Type": "application/x-protobuf",
                "Content-Encoding": "snappy",
                "X-Prometheus-Remote-Write-Version": "0.1.0",
            },
        ),
        ("otlp", {"Content-Type": "application/x-protobuf"}),
    ],
)
def test_each_protocol_has_its_headers(receiver: WriteReceiver, protocol: str, headers: dict[str, str]) -> None:
    """They are those of the standard, and a push of one body is one request."""
    outcome = Pushing(receiver, protocol).push()
    [request] = receiver.received
    sent = {name.title(): value for name, value in request.headers.items()}
    assert {name: sent[name.title()] for name in headers} == headers
    assert sent["User-Agent"] == "kairo-metrics"
    assert "Authorization" not in sent
    assert outcome.values.taken == 2
    assert values(receiver.received) == [5, 5]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("fault", [Reply(503, "not now"), Reply(429, "slower"), Reply(0), Reply(502)])
def test_a_receiver_that_stumbles_gets_the_same_bytes_again(protocol: str, fault: Reply) -> None:
    """A retry is the same body, so that nothing counts twice if an answer was lost."""
    with write_receiver(fault, Reply()) as receiver:
        outcome = Pushing(receiver, protocol).push()
    first, second = receiver.received
    assert first.body == second.body
    assert (outcome.values.taken, outcome.values.unconfirmed) == (2, 0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_pause_that_a_receiver_asks_for_is_kept(protocol: str) -> None:
    """`Retry-After` is waited for."""
    with write_receiver(Reply(429, headers={"Retry-After": "7"}), Reply()) as receiver:
        pushing = Pushing(receiver, protocol)
        pushing.push()
    assert pushing.pauses == [7]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("status", [400, 409, 422])
def test_one_refused_series_keeps_no_other_from_arriving(receiver: WriteReceiver, protocol: str, status: int) -> None:
    """The others are taken, and the refused one is named with the receiver's words."""
    receiver.refuse_label("bad", Reply(status, "out of order sample", headers={}))
    outcome = Pushing(receiver, protocol).push(page("a", "bad", "c", "d"))
    assert (outcome.values.taken, outcome.values.refused, outcome.values.unconfirmed) == (3, 1, 0)
    [(title, reason)] = outcome.values.named
    assert title == 'jobs_total{instance="test",job="kairo",queue="bad"}'
    assert reason == f"127.0.0.1 answered {status}: out of order sample"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_one_body_that_always_fails_keeps_no_other_back(receiver: WriteReceiver, protocol: str) -> None:
    """A receiver that answers 503 to one body gets the other ones, and the failed one is not called refused."""
    receiver.refuse_label("bad", Reply(503, "shard is away"))
    outcome = Pushing(receiver, protocol).push(page("bad", *map(str, range(3_000))))
    assert (outcome.values.taken, outcome.values.refused, outcome.values.unconfirmed) == (1_001, 0, 2_000)
    assert outcome.values.reason == "127.0.0.1 answered 503: shard is away"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_body_that_is_too_large_is_sent_in_parts(protocol: str) -> None:
    """After a 413 the halves are sent, and everything arrives."""
    with write_receiver(Reply(413, "too large"), Reply()) as receiver:
        outcome = Pushing(receiver, protocol).push(page(*map(str, range(100))))
    assert (outcome.values.taken, outcome.values.refused) == (100, 0)
    assert [len(request.samples) for request in receiver.received] == [100, 50, 50]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_redirect_is_not_followed(receiver: WriteReceiver, protocol: str) -> None:
    """The login goes nowhere but to the host that was set, and the push ends."""
    with write_receiver(Reply(308, headers={"Location": receiver.url})) as moved:
        outcome = Pushing(moved, protocol).push()
    assert receiver.received == []
    assert len(moved.received) == 1
    assert outcome.values.ended
    assert f"answered 308: a redirect to {receiver.url}" in outcome.values.reason


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("status", [401, 404, 405])
def test_a_refused_login_or_address_ends_the_push(protocol: str, status: int) -> None:
    """No other version is tried, and no halves: nothing would change the answer."""
    with write_receiver(Reply(status, "no")) as receiver:
        outcome = Pushing(receiver, protocol).push(page(native=True))
    assert len(receiver.received) == 1
    assert outcome.values.ended
    assert outcome.values.unconfirmed == (6 if protocol == "remote-write-1" else 3)  # a classic histogram is 4 samples


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_page_that_is_pushed_twice_is_the_same_bytes(receiver: WriteReceiver, protocol: str) -> None:
    """A receiver that has it already sees the same samples at the same times: duplicates count once."""
    pushing = Pushing(receiver, protocol)
    assert [pushing.push(page(native=True)).values.refused for _ in range(2)] == [0, 0]
    bodies = [request.body for request in receiver.received]
    assert bodies[: len(bodies) // 2] == bodies[len(bodies) // 2 :]


@pytest.mark.parametrize("protocol", ["remote-write", "otlp"])
@pytest.mark.parametrize(
    "reply", [Reply(500, "native histograms are disabled"), Reply(400, "no histograms", headers={})]
)
def test_a_receiver_without_native_histograms_gets_classic_ones(
    receiver: WriteReceiver, protocol: str, reply: Reply
) -> None:
    """They have bodies of their own, so the rest arrives first, and then they come as classic histograms."""
    receiver.refuse(_has_native, reply)
    outcome = Pushing(receiver, protocol).push(page(native=True), limit_s=3)
    assert outcome.values.refused == outcome.values.unconfirmed == 0
    assert outcome.remarks == [
        f"native histograms were sent as classic ones: 127.0.0.1 answered {reply.status}: {reply.text}"
    ]
    last = receiver.received[-1].samples
    assert {labels["__name__"] for labels, _, _ in last} >= ({"fine_count"} if protocol == "remote-write" else {"fine"})


def _has_native(request: Received) -> bool:
    if request.is_version_2:
        return any(series.histograms for series in request_2(request.body).timeseries)
    [resource] = ExportMetricsServiceRequest.FromString(request.body).resource_metrics
    return any(metric.HasField("exponential_histogram") for metric in resource.scope_metrics[0].metrics)


def test_native_histograms_arrive_as_such(receiver: WriteReceiver) -> None:
    """By remote write 2.0, apart from the other samples."""
    outcome = Pushing(receiver).push(page(native=True))
    assert outcome.values.taken == 3
    numbers, native = receiver.received
    assert [len(series.histograms) for series in request_2(numbers.body).timeseries] == [0, 0]
    assert [series.histograms[0].count_int for series in request_2(native.body).timeseries] == [4]


def partial(points: int, reason: str) -> Reply:
    """Return the answer of a receiver of OTLP that has taken a part."""
    answer = ExportMetricsServiceResponse()
    answer.partial_success.rejected_data_points, answer.partial_success.error_message = points, reason
    return Reply(200, answer.SerializeToString().decode(), headers=PROTOBUF)


def test_a_partial_success_of_otlp_is_told_and_not_repeated() -> None:
    """The standard forbids to send it again; how many points are missing is known, and not which."""
    with write_receiver(partial(1, "too old")) as receiver:
        outcome = Pushing(receiver, "otlp").push()
    assert (outcome.values.taken, outcome.values.refused, len(receiver.received)) == (1, 1, 1)
    assert outcome.values.named == [(None, "127.0.0.1 said: too old")]


def test_a_warning_of_otlp_is_passed_on() -> None:
    """A receiver may have a remark about points that it has taken."""
    with write_receiver(partial(0, "use a newer version")) as receiver:
        outcome = Pushing(receiver, "otlp").push()
    assert (outcome.values.taken, outcome.values.refused) == (2, 0)
    assert outcome.values.remarks == ["127.0.0.1 said: use a newer version"]


def test_a_refusal_of_otlp_is_read_from_its_message() -> None:
    """The answer is a message with a sentence in it; a 500 is final there, so the halves are sent."""
    status = ExportMetricsPartialSuccess(rejected_data_points=13, error_message="no such tenant").SerializeToString()
    with write_receiver(Reply(500, status.decode(), headers=PROTOBUF)) as receiver:
        pushing = Pushing(receiver, "otlp")
        outcome = pushing.push()
    assert outcome.values.refused == 2
    assert outcome.values.named[0][1] == "127.0.0.1 answered 500: no such tenant"
    assert pushing.pauses == []


def test_the_headers_of_opentelemetrys_variables_are_sent(receiver: WriteReceiver) -> None:
    """Such as a login; they can't change the type of the content."""
    headers = {"Authorization": "Basic MTI6aGlkZGVu", "x-scope-orgid": "7", "content-type": "text/plain"}
    Pushing(receiver, "otlp", otlp_headers=headers).push()
    sent = {name.lower(): value for name, value in receiver.received[0].headers.items()}
    assert (sent["authorization"], sent["x-scope-orgid"]) == ("Basic MTI6aGlkZGVu", "7")
    assert sent["content-type"] == "application/x-protobuf"


def test_a_page_is_read_with_what_its_protocol_carries() -> None:
    """Remote write 1.0 has no exemplars, so they are not read for it, also once a receiver was fallen back for."""
    with write_receiver(UNSUPPORTED, UNAWARE) as receiver:
        pushing = Pushing(receiver)
        before = pushing.pusher.extras
        pushing.push()
        after = pushing.pusher.extras
    assert (before.exemplars, before.native, before.began) == (True, True, True)
    assert (after.exemplars, after.native, after.began) == (False, False, True)
    assert Pushing(receiver, "remote-write-1").pusher.extras == after
