"""What the tests of the entry points share."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest


@pytest.fixture
def event_loop_of_lambda() -> Iterator[asyncio.AbstractEventLoop]:
    """Set an event loop for the thread, as Lambda's runtime has one for all invocations."""
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        asyncio.set_event_loop(loop)
        yield loop
        asyncio.set_event_loop(None)
