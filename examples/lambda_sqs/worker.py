"""AWS Lambda calls `handler` with messages of an SQS queue, and sends those again that it reports as failed."""

import json
from typing import Any

from prometheus_client import Counter

from lib.kairo_metrics import measured

PACKED = Counter("orders_packed_total", "Orders packed.")


@measured("pack_orders")
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Pack the orders of a batch, and return the ids of those that failed."""
    failed = []
    for message in event["Records"]:
        try:
            pack(json.loads(message["body"]))
        except (KeyError, ValueError):
            failed.append({"itemIdentifier": message["messageId"]})
    return {"batchItemFailures": failed}


def pack(order: dict[str, int]) -> None:
    """Pack an order."""
    if order["number"] < 1:
        raise ValueError(f"no order has the number {order['number']}")
    PACKED.inc()
