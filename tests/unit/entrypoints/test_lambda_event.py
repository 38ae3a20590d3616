"""Which events of AWS Lambda are HTTP requests, and what the others are called."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.kairo_metrics.entrypoints.lambda_event import is_http_request, kind_of
from tests.deployment.platform.lambda_events import CALLERS, Call
from tests.support.aws_events import OTHER_EVENTS, PERSONAL, lambda_at_edge

KEYS = st.sampled_from(["Records", "cf", "eventSource", "requestContext", "http", "version", "path"]) | st.text()
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
)
REQUESTS = {name: caller.event(Call("GET", "/api/content?a=b")) for name, caller in CALLERS.items()} | {
    # An HTTP API may be set to the older format of a REST API.
    "HTTP API, payload 1.0": {**CALLERS["REST API"].event(Call("GET", "/x")), "version": "1.0"},
    "CloudFront, origin": lambda_at_edge("/x"),
    "CloudFront, viewer": lambda_at_edge("/x", event_type="viewer-request"),
}


@pytest.mark.parametrize("caller", REQUESTS)
def test_requests_are_told_apart_from_other_events(caller: str) -> None:
    """A request of each caller on AWS is served."""
    assert is_http_request(REQUESTS[caller])


@pytest.mark.parametrize(
    ("kind", "event"), [(kind, event) for kind, events in OTHER_EVENTS.items() for event in events]
)
def test_an_event_is_named_without_its_content(kind: str, event: Any) -> None:
    """An event of another kind is named, in words that have nothing of its content."""
    assert not is_http_request(event)
    named = kind_of(event)
    assert named.startswith(kind)
    assert PERSONAL not in named


@given(ANYTHING)
def test_any_event_is_named(event: Any) -> None:
    """Whatever a caller sends, it is a request or gets one of the known names, and never another error."""
    assert is_http_request(event) or any(kind_of(event).startswith(kind) for kind in OTHER_EVENTS)
