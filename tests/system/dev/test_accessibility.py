"""The dashboard's page by the rules of axe-core, the field's own checker, in a real browser."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.support.browser import DESKTOP, PHONE
from tests.support.dashboard_tab import Open, send
from tests.support.dev_server import REPOSITORY, DevServer

# Each takes seven seconds of the processor.
pytestmark = pytest.mark.long

AXE = REPOSITORY / "tests" / "system" / "viewer" / "node_modules" / "axe-core" / "axe.min.js"
RUN = "part => axe.run(part, { resultTypes: ['violations'] })"
Scheme = Literal["light", "dark"]


def violations(page: Page, part: str = "html") -> list[str]:
    """Return what axe finds wrong, with the element and what to do."""
    found: dict[str, Any] = page.evaluate(RUN, part)
    assert len(found["passes"]) > 10
    return [
        f"{rule['id']}: {node['html'][:120]}: {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing(tab: Open, server: DevServer, scheme: Scheme, size: ViewportSize) -> None:
    """No text lacks contrast, nothing lacks a name or a role: in every row, with a query, a fault, and the help."""
    if not AXE.exists():
        pytest.skip("install Node.js with npm, and run make test")
    send(server, times=2)
    phone = size is PHONE
    dashboard = tab(viewport=size, color_scheme=scheme, is_mobile=phone, has_touch=phone)
    page, keys = dashboard.page, dashboard.page.keyboard
    # The page's own policy lets no foreign script in; the browser's debugger may run one.
    page.evaluate(AXE.read_text())
    field, told = page.get_by_label("Query in PromQL"), page.locator(".query p")
    keys.press("q")
    keys.type("http_requests_total")
    keys.press("Enter")
    expect(told).to_contain_text(" series", timeout=20_000)
    # Every row is open, and one series of a graph is hidden.
    field.blur()
    keys.press("o")
    dashboard.draw_all()
    dashboard.panel("Traffic").locator(".legend button").first.click()
    assert violations(page) == []
    field.fill("http")
    expect(page.locator("#completions li").first).to_be_visible()
    keys.press("ArrowDown")
    assert violations(page, ".query") == []
    field.fill("rate(up)")
    keys.press("Enter")
    expect(told).to_contain_text("expected type")
    assert violations(page, ".query") == []
    field.blur()
    keys.press("Enter")
    keys.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations(page, "dialog") == []
    # The browser reports the refused query; that is expected here.
    dashboard.complaints = [text for text in dashboard.complaints if "422" not in text]


def test_axe_sees_the_page(tab: Open) -> None:
    """A text with too little contrast, and a button without a name, are found."""
    page = tab().page
    page.evaluate(AXE.read_text())
    page.evaluate("document.getElementById('title').style.color = '#bbb'")
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert {one.partition(":")[0] for one in violations(page)} >= {"color-contrast", "button-name"}
