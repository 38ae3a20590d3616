"""The dev server and the browser that the tests of its pages share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.browser import running_browser
from tests.support.dashboard_tab import tab
from tests.support.dev_server import DevServer, dev_server

__all__ = ["tab"]


@pytest.fixture(scope="module")
def server() -> Iterator[DevServer]:
    with dev_server() as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser
