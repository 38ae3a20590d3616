"""`make screenshots`: the dashboard's pictures in docs/img/, from a real server with the demo's traffic."""

from __future__ import annotations

import subprocess
import sys
from typing import Literal

from playwright.sync_api import Browser, ViewportSize

from tests.support.browser import PHONE, DashboardPage, running_browser
from tests.support.dev_server import REPOSITORY, DevServer, dev_server

_FOLDER = REPOSITORY / "docs" / "img"
_WIDE: ViewportSize = {"width": 1280, "height": 1150}
_SECONDS = 130


def main() -> None:
    """Take one picture of each kind."""
    _FOLDER.mkdir(exist_ok=True)
    with dev_server() as server, running_browser() as browser:
        command = [sys.executable, "-m", "benchmarks.demo", "--url", server.url, "--seconds", str(_SECONDS)]
        with subprocess.Popen(command, cwd=REPOSITORY) as demo:
            dark = _opened(browser, server, "dark", _WIDE)
            dark.page.wait_for_timeout((_SECONDS - 8) * 1000)
            _take(dark, "dashboard-dark")
            _take(_opened(browser, server, "light", _WIDE), "dashboard-light", "Requests by route")
            _take(_opened(browser, server, "dark", PHONE), "dashboard-phone")
            demo.wait()


def _opened(browser: Browser, server: DevServer, scheme: Literal["dark", "light"], size: ViewportSize) -> DashboardPage:
    phone = size is PHONE
    context = browser.new_context(
        viewport=size, color_scheme=scheme, is_mobile=phone, has_touch=phone, device_scale_factor=1.5 if phone else 1
    )
    return DashboardPage(context, server).open()


def _take(dashboard: DashboardPage, name: str, row: str = "") -> None:
    dashboard.draw_all()
    if row:
        top = "element => scrollTo(0, element.getBoundingClientRect().top + scrollY - 110)"
        dashboard.page.get_by_role("heading", name=row).evaluate(top)
    dashboard.page.wait_for_timeout(4_000)
    dashboard.page.screenshot(path=_FOLDER / f"{name}.png")


if __name__ == "__main__":
    main()
