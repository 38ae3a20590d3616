"""Measured functions on AWS Lambda, whose events are no requests, run by AWS's own runtime client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from tests.deployment.platform.entry_point import stored
from tests.deployment.platform.lambda_runtime import LambdaError, LambdaFunction, lambda_function
from tests.support.proxy import Proxy
from tests.support.variants import variants

_MODULE = "tests.deployment.platform.consumer"
_ARN = "arn:aws:sqs:eu-west-1:123456789012:orders"


def queue_event(*bodies: str) -> dict[str, Any]:
    """Make the event of an SQS queue. Source: AWS Lambda, "Using Lambda with Amazon SQS"."""
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": f"handle-{number}",
                "body": body,
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": _ARN,
                "awsRegion": "eu-west-1",
            }
            for number, body in enumerate(bodies)
        ]
    }


BUS_EVENT = {
    "version": "0",
    "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
    "detail-type": "OrderPlaced",
    "source": "shop",
    "account": "123456789012",
    "time": "2026-01-01T00:00:00Z",
    "region": "eu-west-1",
    "resources": [],
    "detail": {"id": 7},
}
BUCKET_EVENT = {
    "Records": [
        {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": "orders"}, "object": {"key": "2026/01.json", "size": 3}},
        }
    ]
}


@contextmanager
def function(name: str, redis_url: str, **settings: str) -> Iterator[LambdaFunction]:
    """Run an instance of a function of `consumer`, with metrics on."""
    variables = {"ENABLE_METRICS": "true", "METRICS_NAMESPACE": "production", "REDIS_URL": redis_url, **settings}
    with lambda_function(f"{_MODULE}.{name}", variables) as running:
        yield running


def counted(redis_url: str, prefix: str = "function_invocations_total") -> dict[str, float]:
    """Return what is in Redis at this moment."""
    return asyncio.run(stored(redis_url, prefix))


def test_failures_of_single_messages_reach_the_queue(redis_url: str) -> None:
    """AWS gets the function's own list of messages that failed, and the invocation is counted as a partial success."""
    with function("queue", redis_url) as consumer:
        answer = consumer.invoke(queue_event("good", "bad", "good", "bad"))
        assert answer == {"batchItemFailures": [{"itemIdentifier": "message-1"}, {"itemIdentifier": "message-3"}]}
        assert consumer.invoke(queue_event("good")) == {"batchItemFailures": []}
    assert counted(redis_url) == {
        'function_invocations_total{function="queue",outcome="partial"}': 1,
        'function_invocations_total{function="queue",outcome="success"}': 1,
    }
    assert counted(redis_url, "messages_total") == {"messages_total": 5}
    assert counted(redis_url, "function_errors_total") == {}


EVENTS = [
    ("bus", BUS_EVENT, "OrderPlaced: 7", "order_placed"),
    ("bucket", BUCKET_EVENT, ["2026/01.json"], "bucket"),
    ("anything", {"id": 7}, {"event": {"id": 7}, "has_context": True}, "anything"),
    ("anything", [1, 2], {"event": [1, 2], "has_context": True}, "anything"),
    ("anything", {}, {"event": {}, "has_context": True}, "anything"),
]


@pytest.mark.parametrize(("name", "event", "answer", "label"), variants(EVENTS, EVENTS[:3]))
def test_any_event_is_passed_on(name: str, event: Any, answer: Any, label: str, redis_url: str) -> None:
    """An event of EventBridge or S3, or any JSON, reaches the function, and its result the caller, both unchanged."""
    with function(name, redis_url) as running:
        assert running.invoke(event) == answer
    assert counted(redis_url) == {f'function_invocations_total{{function="{label}",outcome="success"}}': 1}


def test_an_exception_reaches_the_caller(redis_url: str) -> None:
    """AWS learns of the exception, so that it tries again, and it is counted under its class."""
    with function("failing", redis_url) as running:
        for number in (7, 8):
            with pytest.raises(LambdaError) as raised:
                running.invoke({"id": number})
            assert raised.value.args == ("LookupError", str(number))
    assert counted(redis_url) == {'function_invocations_total{function="failing",outcome="error"}': 2}
    errors = counted(redis_url, "function_errors_total")
    assert errors == {'function_errors_total{function="failing",type="LookupError"}': 2}


def test_a_cold_start_is_counted_once_for_each_instance(redis_url: str) -> None:
    """Two instances with three invocations each are two cold starts."""
    for _ in range(2):
        with function("queue", redis_url) as consumer:
            for _ in range(3):
                consumer.invoke(queue_event("good"))
    assert counted(redis_url, "function_cold_starts_total") == {'function_cold_starts_total{function="queue"}': 2}
    assert counted(redis_url) == {'function_invocations_total{function="queue",outcome="success"}': 6}


@pytest.mark.parametrize(("name", "event"), [("queue", queue_event("good")), ("failing", {"id": 7})])
def test_metrics_are_delivered_before_the_response(name: str, event: dict[str, Any], proxy: Proxy) -> None:
    """Lambda freezes an instance when it has the response, or the error, so the flush comes before it."""
    with function(name, proxy.url, METRICS_FLUSH_BUDGET_MS="30000") as running, ThreadPoolExecutor() as pool:
        proxy.hold()
        invocation = pool.submit(running.invoke, event)
        proxy.wait_until_held()
        assert not invocation.done()
        proxy.let_go()
        assert (invocation.exception() is None) == (name == "queue")
        assert sum(counted(proxy.url).values()) == 1


def test_a_store_that_is_away_changes_no_result(proxy: Proxy, redis_url: str) -> None:
    """Without Redis the function's result and exceptions are its own, and its counts arrive with a later invocation."""
    proxy.refuse()
    with function("queue", proxy.url) as consumer:
        for _ in range(2):
            answer = consumer.invoke(queue_event("good", "bad"))
            assert answer == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
        assert counted(redis_url) == {}
        proxy.listen()
        sent, deadline_s = 2, time.monotonic() + 30
        while not counted(redis_url):  # the breaker sends nothing for a while
            assert time.monotonic() < deadline_s
            consumer.invoke(queue_event("good", "bad"))
            sent += 1
    assert counted(redis_url) == {'function_invocations_total{function="queue",outcome="partial"}': sent}
