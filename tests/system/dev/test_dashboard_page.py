"""The dashboard as users see it: in a real browser, from the real dev server."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import promql_parser
import pytest
from playwright.sync_api import Browser, expect
from prometheus_client.parser import text_string_to_metric_families

from tests.support.browser import DESKTOP, PHONE, DashboardPage
from tests.support.dev_server import REPOSITORY, DevServer, dev_server
from tests.support.prometheus_server import prometheus_server

ACME = {"X-Tenant": "acme"}
Open = Callable[..., DashboardPage]


@pytest.fixture
def tab(browser: Browser, server: DevServer) -> Iterator[Open]:
    """Return a function that opens the dashboard in a new tab; the tab must have no errors at the end."""
    opened: list[DashboardPage] = []

    def open_one(query: str = "", at: DevServer = server, **settings: Any) -> DashboardPage:
        settings = {"viewport": DESKTOP, "color_scheme": "light", **settings}
        dashboard = DashboardPage(browser.new_context(**settings), at)
        opened.append(dashboard)
        return dashboard.open(query)

    yield open_one
    for dashboard in opened:
        dashboard.page.context.close()
        assert dashboard.complaints == []
        assert [address for address in dashboard.addresses if not address.startswith(dashboard.server.url)] == []


def send(server: DevServer, times: int = 10) -> None:
    """Send the same few requests of every kind, several times."""
    with httpx.Client(base_url=server.url, headers=ACME) as client:
        for number in range(times):
            client.post("/api/content", json={"slug": f"entry-{number}", "title": "Title", "body": "Body"})
            client.get(f"/api/content/entry-{number}")
            client.get("/api/content/missing")


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


def test_a_paused_page_asks_for_nothing(tab: Open, server: DevServer) -> None:
    """A paused page does not change and sends no queries."""
    send(server)
    dashboard = tab()
    dashboard.page.locator("#pause").click()
    dashboard.page.wait_for_load_state("networkidle")
    asked = len(dashboard.addresses)
    dashboard.page.wait_for_timeout(5_000)
    assert len(dashboard.addresses) == asked


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


def test_a_runbook_is_one_click_away(tab: Open) -> None:
    """The link on a panel opens the right runbook."""
    dashboard = tab()
    dashboard.panel("Latency").locator("summary").click()
    dashboard.page.get_by_role("link", name="Runbook: HighLatency").first.click()
    runbook = dashboard.panel("HighLatency")
    expect(runbook).to_be_focused()
    expect(runbook).to_contain_text("Mitigation.")


def test_the_text_of_a_metric_is_enough_to_see_it(browser: Browser, tmp_path: Path) -> None:
    """In a user's own project every metric that no panel shows is drawn by its type, and can be searched."""
    with dev_server(own_project(tmp_path / "my-shop")) as server, httpx.Client(base_url=server.url) as client:
        client.get("/order?kind=toy")
        dashboard = DashboardPage(browser.new_context(viewport=DESKTOP), server)
        dashboard.page.goto(f"{server.url}/dashboard")
        page = dashboard.page
        expect(page.locator("#title")).to_have_text("My Shop")
        expect(page.get_by_role("button", name="Your metrics")).to_have_attribute("aria-expanded", "true")
        orders = dashboard.panel("orders_total").locator(".legend")
        expect(orders).to_contain_text('{kind="toy"}', timeout=20_000)
        client.get("/order?kind=book")
        expect(orders).to_contain_text('{kind="book"}', timeout=10_000)
        # A histogram as quantiles and as a heat map, a gauge as its value, an info as a table.
        names = dashboard.panel("basket_euros").locator(".legend button")
        expect(names).to_have_text(["p50", "p95", "p99"])
        expect(dashboard.panel("basket_euros, all observations").locator("canvas")).to_be_visible()
        expect(dashboard.panel("stock_items").locator(".legend td").first).to_have_text("7")
        expect(dashboard.panel("build_info").locator("tbody")).to_contain_text("1.2")
        titles = page.locator("#row-own article:visible h3")
        shown = titles.all_inner_texts()
        assert len(shown) == len(set(shown))
        assert "shop_http_requests_total" not in shown
        assert [one for one in shown if one.startswith("kairo_")] == shown[
            -sum(one.startswith("kairo_") for one in shown) :
        ]
        page.keyboard.press("/")
        page.keyboard.type("WORTH basket")
        expect(titles).to_have_text(["basket_euros", "basket_euros, all observations"])
        page.get_by_label("Search your metrics").fill("nothing of the kind")
        expect(titles).to_have_count(0)
        expect(page.get_by_text("No metric has these words.")).to_be_visible()
        page.context.close()
        assert dashboard.complaints == []


OWN_APP = """
from prometheus_client import Counter, Gauge, Histogram, Info
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from lib.kairo_metrics import instrument

ORDERS = Counter("orders_total", "Orders placed, by kind.", ["kind"])
BASKET = Histogram("basket_euros", "Worth of a basket.", buckets=(5, 10, 50))
STOCK = Gauge("stock_items", "Items in stock.", multiprocess_mode="mostrecent")
Info("build", "What runs.").info({"version": "1.2"})

async def order(request):
    ORDERS.labels(request.query_params["kind"]).inc()
    BASKET.observe(7)
    STOCK.set(7)
    return PlainTextResponse("thanks")

app = instrument(Starlette(routes=[Route("/order", order)]), prefix="shop_", metrics_path="/api/metrics")
"""


def own_project(root: Path) -> Path:
    """Write a user's project: one app for every path, with metrics of its own."""
    (root / "api").mkdir(parents=True)
    (root / "api" / "index.py").write_text(OWN_APP)
    (root / "vercel.json").write_text('{"rewrites": [{"source": "/(.*)", "destination": "/api/index"}]}')
    (root / "lib").symlink_to(REPOSITORY / "lib")
    return root


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


def test_it_fits_a_phone(tab: Open, server: DevServer) -> None:
    """At a width of 390 pixels nothing has to be scrolled sideways, and every graph has the full width."""
    send(server)
    dashboard = tab(viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2)
    dashboard.draw_all()
    assert dashboard.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    widths = dashboard.page.locator(".panel.timeseries").evaluate_all("all => all.map(one => one.offsetWidth)")
    assert min(widths) >= 350


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


@pytest.mark.prometheus
def test_with_a_prometheus_the_numbers_are_its_own(tab: Open, tmp_path: Path) -> None:
    """PROMETHEUS_URL replaces the built-in history, and neither its login nor the token reaches the page."""
    token = "a-token-that-stays-here"
    with dev_server(env={"METRICS_AUTH_TOKEN": token}) as scraped_server:
        send(scraped_server)
        address = scraped_server.url.removeprefix("http://")
        job = f"""
- job_name: kairo-cms-elsewhere
  metrics_path: /api/metrics
  static_configs: [{{targets: ["{address}"]}}]
  authorization: {{credentials: "{token}"}}
"""
        with prometheus_server(tmp_path, job) as prometheus:
            prometheus.wait_for(lambda: bool(prometheus.value("sum(http_requests_total)")))
            login = prometheus.url.replace("://", "://reader:its-password@")
            with dev_server(env={"PROMETHEUS_URL": login}) as server:
                assert "its-password" not in server.output
                dashboard = tab(at=server)
                bodies: list[str] = []
                dashboard.page.on("response", lambda answer: bodies.append(answer.url + str(answer.headers)))
                expect(dashboard.page.locator("#source")).to_contain_text(prometheus.url)
                job_names = dashboard.page.locator("#var-job").locator("option")
                expect(job_names).to_contain_text(["All", "kairo-cms-elsewhere"])
                states = dashboard.draw_all()
                assert "error" not in states.values(), states
                # Large numbers and tables show the current value, even if two points of a graph are 15 minutes apart.
                dashboard.page.get_by_role("button", name="24 h").click()
                expect(dashboard.panel("Metrics page").locator(".value")).to_have_text("up")
                expect(dashboard.panel("Routes now")).to_contain_text("/api/content")
                expect(dashboard.page.locator("#notice")).to_be_hidden()
                seen = dashboard.page.content() + "".join(bodies)
                assert token not in seen
                assert "its-password" not in seen
                dashboard.page.context.close()


def project_with(tmp_path: Path, dashboard: str) -> Path:
    """Create a project with the repository's functions and page, and another dashboard."""
    root = tmp_path / "project"
    for folder in ("api", "lib"):
        shutil.copytree(REPOSITORY / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "vercel.json", root)
    (root / "grafana").mkdir()
    (root / "grafana" / "my-dashboard.json").write_text(dashboard)
    return root


OWN = """{"title": "Mine", "panels": [
  {"id": 1, "type": "timeseries", "title": "Beyond", "gridPos": {"x": 0, "y": 0, "w": 12, "h": 6},
   "targets": [{"refId": "A", "expr": "max_over_time(up[1m:5s])"}]},
  {"id": 2, "type": "geomap", "title": "Map", "gridPos": {"x": 12, "y": 0, "w": 12, "h": 6}, "targets": []},
  {"id": 3, "type": "timeseries", "title": "Typo", "gridPos": {"x": 0, "y": 6, "w": 12, "h": 6},
   "targets": [{"refId": "A", "expr": "rate(up"}]},
  {"id": 4, "type": "stat", "title": "Fine", "gridPos": {"x": 12, "y": 6, "w": 12, "h": 6},
   "targets": [{"refId": "A", "expr": "sum(up) + 41", "instant": true}]},
  {"id": 5, "type": "text", "title": "Words", "gridPos": {"x": 0, "y": 12, "w": 12, "h": 6},
   "options": {"mode": "markdown", "content": "**Bold** <img src=x onerror=alert(1)> [run](javascript:alert(1))"}}
]}"""


def test_an_error_is_shown_on_its_panel(browser: Browser, tmp_path: Path) -> None:
    """A query or panel that is not supported is an error on that panel only."""
    with dev_server(project_with(tmp_path, OWN)) as server:
        dashboard = DashboardPage(browser.new_context(viewport=DESKTOP), server).open()
        expect(dashboard.panel("Fine").locator(".value")).to_have_text("42", timeout=20_000)
        expect(dashboard.panel("Beyond").locator(".state")).to_have_text(
            "A subquery is not supported by the built-in engine: set PROMETHEUS_URL to query a real Prometheus"
        )
        expect(dashboard.panel("Typo").locator(".state")).to_contain_text("in the query: rate(up")
        expect(dashboard.panel("Map").locator(".state")).to_contain_text("does not draw panels of the type “geomap”")
        words = dashboard.panel("Words").locator(".words")
        expect(words.locator("strong")).to_have_text("Bold")
        assert words.locator("img, a").count() == 0
        dashboard.page.context.close()
        # The browser reports the refused queries (status 422) and no other error.
        assert [text for text in dashboard.complaints if "422" not in text] == []


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
