"""Functions on AWS Lambda that take an event of a queue, a bus or a bucket, each measured in one line."""

from typing import Any

from prometheus_client import Counter

from lib.kairo_metrics import measured

MESSAGES = Counter("messages_total", "Messages consumed.")


@measured
def queue(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Consume messages, and report those that failed; AWS sends them again."""
    failed = []
    for message in event["Records"]:
        MESSAGES.inc()
        if message["body"] == "bad":
            failed.append({"itemIdentifier": message["messageId"]})
    return {"batchItemFailures": failed}


@measured("order_placed")
def bus(event: dict[str, Any], _context: object) -> str:
    """Handle an event of EventBridge."""
    return f"{event['detail-type']}: {event['detail']['id']}"


@measured
def bucket(event: dict[str, Any], _context: object) -> list[str]:
    """Handle the objects that were put into a bucket."""
    return [record["s3"]["object"]["key"] for record in event["Records"]]


@measured
def anything(event: Any, context: Any) -> dict[str, Any]:
    """Return the event, and what is known of the invocation."""
    return {"event": event, "has_context": context.get_remaining_time_in_millis() > 0}


@measured
def failing(event: dict[str, Any], _context: object) -> None:
    """Raise."""
    raise LookupError(event["id"])
