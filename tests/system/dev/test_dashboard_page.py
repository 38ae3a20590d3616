"""The dashboard as users see it: in a real browser, from the real dev server."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import promql_parser
import pytest
from playwright.sync_api import expect
from prometheus_client.parser import text_string_to_metric_families

from tests.support.browser import PHONE
from tests.support.dashboard_tab import Open, send
from tests.support.dev_server import DevServer, dev_server


def scraped(server: DevServer, name: str) -> dict[str, float]:
    """Return the samples of a metric from the metrics page: label values -> value."""
    text = httpx.get(f"{server.url}/api/metrics", headers={"Authorization": f"Bearer {server.token}"}).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {" ".join(sample.labels.values()): sample.value for sample in samples if sample.name == name}


def test_a_new_user_sees_what_to_do_and_then_the_data(tab: Open, server: DevServer) -> None:
    """Before the first request the page says how to send some; after it, that text is gone."""
    page = tab().page
    expect(page.locator("#notice")).to_have_text("No requests yet. Send some in another terminal: make demo")
    send(server)
    expect(page.locator("#notice")).to_be_hidden(timeout=20_000)
    expect(page.locator("#panel-1 .value")).not_to_have_text("0 req/s", timeout=20_000)


COLOURS = """canvas => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const seen = new Set();
    for (let at = 0; at < data.length; at += 4) if (data[at + 3]) seen.add(data.slice(at, at + 3).join());
    return seen.size;
}"""


def test_every_panel_draws(tab: Open, server: DevServer) -> None:
    """No panel of the dashboard shows an error, and no graph is blank."""
    send(server)
    dashboard = tab()
    states = dashboard.draw_all()
    assert len(states) > 30
    assert "error" not in states.values(), states
    dashboard.panel("Traffic").scroll_into_view_if_needed()
    expect(dashboard.panel("Traffic").locator(".legend")).to_contain_text("2xx")
    colours = dashboard.panel("Traffic").locator("canvas").evaluate(COLOURS)
    assert colours > 20


def test_the_numbers_are_those_of_the_scrape(tab: Open, server: DevServer) -> None:
    """The page shows the numbers in /api/metrics."""
    send(server)
    dashboard = tab()
    expected = scraped(server, "kairo_series")
    panel = dashboard.panel("Series")
    panel.scroll_into_view_if_needed()
    for family, count in expected.items():
        row = panel.locator(".legend tbody tr").filter(has=dashboard.page.get_by_text(family, exact=True))
        expect(row.locator("td").first).to_have_text(f"{count:.0f}", timeout=20_000)
    assert dashboard.last_values("Series").keys() >= expected.keys()
    redis = dashboard.panel("Redis").locator("tbody tr")
    version, policy = next(iter(scraped(server, "kairo_store_info"))).split()
    expect(redis).to_contain_text(version)
    expect(redis).to_contain_text(policy)
    total = sum(scraped(server, "http_requests_total").values())
    query = "() => fetch('/dashboard/api/v1/query?query=sum(http_requests_total)').then(answer => answer.json())"
    for _ in range(100):  # wait until the last requests have been scraped
        shown = float(dashboard.page.evaluate(query)["data"]["result"][0]["value"][1])
        if shown == total:
            break
        dashboard.page.wait_for_timeout(100)
    assert shown == total


@pytest.mark.long
def test_a_variable_narrows_the_panels_and_stays_in_the_address(tab: Open, server: DevServer) -> None:
    """A chosen route limits all panels to it, also after a reload and through a link."""
    send(server)
    dashboard = tab()
    page = dashboard.page
    route = page.locator("#var-route")
    expect(route.locator("option")).to_contain_text(["All", "/api/content", "/api/content/{slug}"], timeout=20_000)
    route.select_option("/api/content/{slug}")
    rate = dashboard.panel("Rate by route")
    rate.scroll_into_view_if_needed()
    expect(rate.locator(".legend")).not_to_contain_text("POST /api/content", timeout=20_000)
    expect(rate.locator(".legend")).to_contain_text("GET /api/content/{slug}")
    page.reload()
    expect(page.locator("#var-route")).to_have_value("/api/content/{slug}")
    assert "var-route=%2Fapi%2Fcontent%2F%7Bslug%7D" in page.url


@pytest.mark.long
def test_everything_can_be_done_with_the_keyboard(tab: Open, server: DevServer) -> None:
    """Keys reach the panels, read values aloud, enlarge, pause, choose the time range, and open the help."""
    send(server)
    dashboard = tab()
    page = dashboard.page
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the panels")).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("#panel-2")).to_be_focused()
    page.keyboard.press("k")
    expect(page.locator("#panel-1")).to_be_focused()
    page.locator("#panel-7").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#live")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d, .*xx [\d.]+ req/s"))
    expect(page.locator(".tooltip")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("#panel-8")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.locator("#panel-8")).to_be_visible()
    page.keyboard.press("2")
    expect(page.get_by_role("button", name="15 min")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("p")
    expect(page.locator("#pause")).to_have_text("▶ Go on")
    page.keyboard.press("o")
    expect(page.get_by_role("button", name="Runbooks")).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("enlarge the focused panel")


@pytest.mark.long
def test_a_paused_page_asks_for_nothing(tab: Open, server: DevServer) -> None:
    """A paused page does not change and sends no queries."""
    send(server)
    dashboard = tab()
    dashboard.page.locator("#pause").click()
    dashboard.page.wait_for_load_state("networkidle")
    asked = len(dashboard.addresses)
    dashboard.page.wait_for_timeout(5_000)
    assert len(dashboard.addresses) == asked


@pytest.mark.long
def test_a_series_can_be_looked_at_alone(tab: Open, server: DevServer) -> None:
    """A click on a name in the legend shows only that series; a second click shows all again."""
    send(server)
    dashboard = tab()
    names = dashboard.panel("Traffic").locator(".legend button")
    expect(names).to_have_text(["2xx", "4xx"], timeout=20_000)
    names.first.click()
    expect(names.last).to_have_attribute("aria-pressed", "false")
    names.first.click()
    expect(names.last).to_have_attribute("aria-pressed", "true")


@pytest.mark.long
def test_a_runbook_is_one_click_away(tab: Open) -> None:
    """The link on a panel opens the right runbook."""
    dashboard = tab()
    dashboard.panel("Latency").locator("summary").click()
    dashboard.page.get_by_role("link", name="Runbook: HighLatency").first.click()
    runbook = dashboard.panel("HighLatency")
    expect(runbook).to_be_focused()
    expect(runbook).to_contain_text("Mitigation.")


DOTS = "rows => rows.map(row => [row.innerText, row.querySelector('.dot').style.backgroundColor])"
RGB = """name => {
    const probe = document.body.appendChild(document.createElement("i"));
    probe.style.color = `var(${name})`;
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
}"""


@pytest.mark.long
def test_colours_have_a_meaning(tab: Open, server: DevServer) -> None:
    """2xx is green, 4xx amber and errors red; no legend has a name that stands for "nothing"."""
    send(server)
    dashboard = tab()
    dashboard.draw_all()
    page = dashboard.page
    good, warn, bad = (page.evaluate(RGB, name) for name in ("--good", "--warn", "--bad"))
    traffic = dict(dashboard.panel("Traffic").locator(".legend button").evaluate_all(DOTS))
    assert traffic == {"2xx": good, "4xx": warn}
    [(_, errors)] = dashboard.panel("Errors").locator(".legend button").evaluate_all(DOTS)
    assert errors == bad
    names = page.locator(".legend button").all_inner_texts()
    assert not [name for name in names if re.search(r"yet|none|never|^no | no$", name)]
    titles = page.locator("article h3").all_inner_texts()
    assert sorted(titles) == sorted(set(titles))


@pytest.mark.long
def test_a_part_of_the_time_can_be_dragged_over(tab: Open, server: DevServer) -> None:
    """Dragging on a graph shows that time in all panels, Escape shows all of it; any number of minutes can be typed."""
    send(server)
    dashboard = tab()
    page = dashboard.page
    dashboard.panel("Traffic").locator(".u-over").scroll_into_view_if_needed()
    expect(dashboard.panel("Traffic").locator(".legend")).to_contain_text("2xx", timeout=20_000)
    box = dashboard.panel("Traffic").locator(".u-over").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 30, steps=4)
    page.mouse.up()
    expect(page.locator("#unzoom")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d . \d\d:\d\d:\d\d ✕$"))
    page.keyboard.press("Escape")
    expect(page.locator("#unzoom")).to_be_hidden()
    page.get_by_label("Time range in minutes").fill("7")
    page.get_by_label("Time range in minutes").press("Enter")
    expect(page.get_by_role("button", name="5 min", exact=True)).to_have_attribute("aria-pressed", "false")
    assert "range=420" in page.url


@pytest.mark.long
def test_a_long_legend_says_how_much_is_below(tab: Open, server: DevServer) -> None:
    """Names that do not fit are counted at the edge, until they are scrolled to."""
    send(server)
    dashboard = tab()
    panel = dashboard.panel("Series")
    panel.scroll_into_view_if_needed()
    expect(panel.locator(".more")).to_have_text(re.compile(r"^↓ \d+ more$"), timeout=20_000)
    panel.locator(".legend").evaluate("legend => legend.scrollTo(0, legend.scrollHeight)")
    expect(panel.locator(".more")).to_be_hidden()


CONTRAST = """name => {
    const rgb = text => text.match(/[0-9a-f]{2}/gi).map(part => parseInt(part, 16) / 255);
    const light = colour => rgb(colour).map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
    const of = property => getComputedStyle(document.documentElement).getPropertyValue(property).trim();
    const [one, other] = [light(of(name)), light(of("--panel"))].sort((a, b) => b - a);
    return (one + 0.05) / (other + 0.05);
}"""


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_themes_can_be_read(tab: Open, scheme: str) -> None:
    """The theme follows the system and can be switched, and texts have the contrast that WCAG AA requires."""
    page = tab(color_scheme=scheme).page
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", scheme)
    names = ["--text", "--muted", "--accent", "--good", "--warn", "--bad"]
    assert {name: page.evaluate(CONTRAST, name) >= 4.5 for name in names} == dict.fromkeys(names, True)
    # Lines and bars need a contrast of 3 to 1.
    lines = [f"--s{number}" for number in range(10)]
    assert {name: page.evaluate(CONTRAST, name) >= 3 for name in lines} == dict.fromkeys(lines, True)
    page.keyboard.press("t")
    expect(root).to_have_attribute("data-theme", "light")
    page.keyboard.press("t")
    expect(root).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(root).to_have_attribute("data-theme", "dark")


@pytest.mark.long
def test_it_fits_a_phone(tab: Open, server: DevServer) -> None:
    """At a width of 390 pixels nothing has to be scrolled sideways, and every graph has the full width."""
    send(server)
    dashboard = tab(viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2)
    dashboard.draw_all()
    assert dashboard.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    widths = dashboard.page.locator(".panel.timeseries:visible").evaluate_all("all => all.map(one => one.offsetWidth)")
    assert min(widths) >= 350


@pytest.mark.long
def test_the_page_outlives_the_server(tab: Open) -> None:
    """When `make run` ends, the page says so; when it runs again, the page continues."""
    with dev_server() as short_lived:
        dashboard = tab(at=short_lived)
        short_lived.stop()
        notice = dashboard.page.locator("#notice")
        expect(notice).to_contain_text("The dev server does not answer", timeout=20_000)
        expect(dashboard.page.locator("#source .beat")).to_have_class("beat gone")
        with dev_server(env={"PORT": str(short_lived.port)}):
            expect(notice).not_to_contain_text("does not answer", timeout=30_000)
        dashboard.page.close()  # no further request can fail after this
        # The browser reports each request that failed; that is expected here.
        dashboard.complaints = [text for text in dashboard.complaints if "ERR_CONNECTION_REFUSED" not in text]
        dashboard.complaints = [text for text in dashboard.complaints if "ERR_EMPTY_RESPONSE" not in text]
        dashboard.complaints = [text for text in dashboard.complaints if "ERR_CONNECTION_RESET" not in text]


HOSTILE = 'a"} or up{job=~"\\\nb$__range|.*'


def test_a_label_value_stays_a_value(tab: Open, server: DevServer) -> None:
    """A chosen value with quotes, backslashes and line breaks selects that value: it can't become part of the query."""
    send(server)
    dashboard = tab(f"?{urlencode({'var-route': HOSTILE})}")
    states = dashboard.draw_all()
    assert "error" not in states.values(), states
    expect(dashboard.page.locator("#var-route")).to_have_value(HOSTILE)
    asked = [parse_qs(urlsplit(address).query).get("query", [""])[0] for address in dashboard.addresses]
    narrowed = [query for query in asked if "route=~" in query]
    assert narrowed
    selector = vector_selector(narrowed[0])
    [route] = [one for one in selector.matchers.matchers if one.name == "route"]
    assert re.fullmatch(route.value, HOSTILE)
    assert not re.fullmatch(route.value, "/api/content")


def vector_selector(query: str) -> Any:
    """Return the first selector of a query that has a route."""
    found = re.search(r'http_requests_total\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\}', query)
    assert found, query
    return promql_parser.parse(found[0])
