"""A function behind CloudFront, whose events have no request context."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from lib.kairo_metrics import Settings
from lib.kairo_metrics.endpoints.health_endpoint import health_app
from lib.kairo_metrics.entrypoints.aws_lambda import lambda_handler

EVENT: dict[str, Any] = {
    "Records": [
        {
            "cf": {
                "config": {"distributionDomainName": "cms.example.org", "eventType": "origin-request"},
                "request": {
                    "clientIp": "192.0.2.1",
                    "headers": {"host": [{"key": "Host", "value": "cms.example.org"}]},
                    "method": "GET",
                    "querystring": "",
                    "uri": "/api/health",
                },
            }
        }
    ]
}


@pytest.fixture
def event_loop_of_lambda() -> Iterator[None]:
    """Set an event loop for the thread, as Lambda's runtime does for all invocations."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


@pytest.mark.usefixtures("event_loop_of_lambda")
def test_lambda_at_edge_is_answered() -> None:
    """A request that comes through CloudFront reaches the app."""
    answer = lambda_handler(health_app(Settings()))(EVENT, None)
    assert (answer["status"], answer["body"]) == (200, '{"status":"alive"}')
