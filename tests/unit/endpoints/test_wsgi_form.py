"""What the event loop of the pages leaves to an app."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

import pytest

from lib.kairo_metrics.endpoints.wsgi_form import _Selector


def test_no_loop_seems_to_run_while_the_pages_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app on gevent can run a loop of its own while none of the page's code runs: threads share that knowledge."""
    seen = []
    own_select = selectors.DefaultSelector.select

    def select(self: Any, timeout: float | None = None) -> Any:
        seen.append(asyncio._get_running_loop())
        return own_select(self, timeout)

    monkeypatch.setattr(selectors.DefaultSelector, "select", select)

    async def page() -> asyncio.AbstractEventLoop:
        await asyncio.sleep(0)
        return asyncio.get_running_loop()

    loop = asyncio.SelectorEventLoop(_Selector())
    assert loop.run_until_complete(page()) is loop
    loop.close()
    assert seen
    assert set(seen) == {None}
