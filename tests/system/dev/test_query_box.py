"""The field for queries on the dashboard's page, in a real browser."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import DashboardPage
from tests.support.dashboard_tab import Open, send
from tests.support.dev_server import DevServer, dev_server


def opened(tab: Open, server: DevServer, query: str = "") -> DashboardPage:
    """Open the page when its history has requests, and put the cursor into the field, with its key."""
    send(server, times=2)
    dashboard = tab(query)
    page = dashboard.page
    expect(page.locator("#var-route option")).to_contain_text(["All", "/api/content"], timeout=20_000)
    page.keyboard.press("q")
    expect(field(page)).to_be_focused()
    return dashboard


def field(page: Page) -> Locator:
    """Return the field of the query."""
    return page.get_by_label("Query in PromQL")


def offered(page: Page) -> Locator:
    """Return what the field offers to complete the query with."""
    return page.get_by_role("listbox", name="Completions").get_by_role("option")


@pytest.mark.long
def test_a_query_is_written_with_completions_and_drawn(tab: Open, server: DevServer) -> None:
    """With keys alone a metric, a label and a value are completed; the graph and the table show the result."""
    dashboard = opened(tab, server)
    page, keys = dashboard.page, dashboard.page.keyboard
    keys.type("sum by (")
    expect(offered(page).filter(has_text=re.compile("^route$"))).to_be_visible()
    keys.type("stat")
    expect(offered(page)).to_have_text(["status"])
    keys.press("Tab")
    keys.type(") (http_req")
    expect(offered(page).first).to_contain_text("http_request")
    keys.type("uests_t")
    expect(offered(page)).to_have_text(re.compile(r"^http_requests_total.*counter · .*requests", re.IGNORECASE))
    keys.press("ArrowDown")
    expect(field(page)).to_have_attribute("aria-activedescendant", "completion-0")
    keys.press("Enter")
    keys.type("{rou")
    expect(offered(page)).to_have_text(["route"])
    keys.press("Tab")
    expect(offered(page).filter(has_text="/api/content/{slug}")).to_be_visible()
    keys.type("/api/content/")
    expect(offered(page)).to_have_text(["/api/content/{slug}"])
    keys.press("Tab")
    keys.type("})")
    query = 'sum by (status) (http_requests_total{route="/api/content/{slug}"})'
    expect(field(page)).to_have_value(query)
    keys.press("Enter")
    legend = dashboard.panel("Graph").locator(".legend")
    expect(legend).to_contain_text('{status="404"}', timeout=10_000)
    expect(page.get_by_role("status").filter(has_text="2 series")).to_be_visible()
    # The same query is there after a reload, and as a table.
    assert parse_qs(urlsplit(page.url).query)["query"] == [query]
    page.reload()
    expect(field(page)).to_have_value(query)
    expect(legend).to_contain_text('{status="404"}', timeout=10_000)
    page.get_by_role("button", name="Table", exact=True).click()
    expect(dashboard.panel("Table").locator("tbody")).to_contain_text("404")
    expect(dashboard.panel("Graph")).to_be_hidden()


MISTAKES = {
    "sum(": "unclosed left parenthesis",
    "rate(up)": "expected type",
    "up[5m]": "A range of samples without a function",
    "nothing_of_the_kind": "No series has samples in this time.",
    "count_values('a', up)": "is not supported by the built-in engine",
    "+".join(["1"] * 200): "operators: split it into several",
    '<img src=x onerror="document.title=1">': "invalid promql query",
}


@pytest.mark.long
def test_a_mistake_is_said_plainly(tab: Open, server: DevServer) -> None:
    """A query with a mistake has its reason below the field, as text, and no graph; the next query is drawn."""
    dashboard = opened(tab, server)
    page = dashboard.page
    told = page.locator(".query p")
    for query, reason in MISTAKES.items():
        field(page).fill(query)
        field(page).press("Enter")
        expect(told).to_contain_text(reason)
        assert dashboard.panel("Graph").is_visible() == ("nothing" in query)
        assert page.locator(".query img, main img").count() == 0
    field(page).fill("1 +\n  1")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(told).to_have_text("1 series")
    expect(dashboard.panel("Graph").locator(".legend td").first).to_have_text("2")
    # The browser reports each refused request; that is expected here.
    dashboard.complaints = [text for text in dashboard.complaints if "422" not in text]


@pytest.mark.long
def test_the_first_request_takes_no_text_away(tab: Open) -> None:
    """The page loads the project's own dashboard at the first request, but not while a query is being written."""
    with dev_server() as fresh:
        page = tab(at=fresh).page
        page.keyboard.press("q")
        page.keyboard.type("sum(")
        with page.expect_response(lambda answer: "source.json" in answer.url and answer.json()["form"] == " push"):
            send(fresh, times=1)
        with page.expect_response(lambda answer: "source.json" in answer.url):
            pass  # the next round
        expect(field(page)).to_have_value("sum(")
        with page.expect_event("load"):
            field(page).fill("")
            field(page).blur()
        page.close()  # no request can fail after this


@pytest.mark.long
def test_the_list_closes_and_leaves_the_keys_alone(tab: Open, server: DevServer) -> None:
    """Escape and moving the cursor close the list, Tab without a list goes on, and letters are no shortcuts."""
    dashboard = opened(tab, server)
    page, keys = dashboard.page, dashboard.page.keyboard
    keys.type("p")
    expect(offered(page).first).to_be_visible()
    expect(page.locator("#pause")).to_have_text("❚❚ Pause")
    keys.press("Escape")
    expect(offered(page)).to_have_count(0)
    expect(field(page)).to_be_focused()
    keys.press("Control+Space")
    keys.press("ArrowUp")
    expect(offered(page).last).to_have_attribute("aria-selected", "true")
    keys.press("ArrowLeft")
    expect(offered(page)).to_have_count(0)
    keys.press("Shift+Enter")
    expect(field(page)).to_have_value("\np")
    field(page).fill("ra")
    expect(offered(page).first).to_contain_text("rate")
    offered(page).first.click()
    expect(field(page)).to_have_value("rate")
    expect(field(page)).to_be_focused()
    keys.press("Tab")
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_focused()


@pytest.mark.long
def test_a_large_result_does_not_stop_the_page(tab: Open, server: DevServer) -> None:
    """Of a result with hundreds of series the first are drawn, and the panel says so; a name stays beside its value."""
    every = """label_replace({__name__=~".+"}, "copy", "%s", "", "")"""
    query = " or ".join(every % copy for copy in "abc")
    dashboard = opened(tab, server, f"?query={quote(query)}")
    page = dashboard.page
    expect(page.locator(".query p")).to_have_text(re.compile(r"^\d{3,} series$"), timeout=20_000)
    graph = dashboard.panel("Graph")
    expect(graph.locator(".cut")).to_be_visible()
    expect(graph.locator(".cut")).to_have_text(re.compile(r"^200 of \d+ series are shown"))
    assert graph.locator(".legend tbody tr").count() == 200
    page.get_by_role("button", name="Table", exact=True).click()
    expect(dashboard.panel("Table").locator("thead")).to_contain_text("metric")
    assert dashboard.panel("Table").locator("tbody tr").count() == 200
