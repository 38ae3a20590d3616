"""The dashboard of the dev server: what it serves, to which hosts, and the source of its data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import redis

from tests.support.dev_project import make_project
from tests.support.dev_server import REPOSITORY, DevServer, dev_server, starting_dev_server

ACME = {"X-Tenant": "acme"}


@pytest.fixture(scope="module")
def server() -> Iterator[DevServer]:
    with dev_server() as server:
        yield server


def ask(server: DevServer, path: str, **parameters: str) -> Any:
    """Return the data of a response of the API."""
    answer = httpx.get(f"{server.url}/dashboard/api/v1/{path}", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_the_banner_names_the_dashboard(server: DevServer) -> None:
    """The banner shows the dashboard's address and the length of its history."""
    assert f"  Dashboard  {server.url}/dashboard  (the last 15 minutes)\n" in server.output


def test_the_page_is_served_with_its_scripts(server: DevServer) -> None:
    """The page, its libraries and the dashboard's JSON come from this server, and no other script may run."""
    page = httpx.get(f"{server.url}/dashboard")
    assert page.status_code == 200
    for path in re.findall(r'(?:src|href)="(/[^"]*)"', page.text):
        assert httpx.get(server.url + path).status_code == 200, path
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert httpx.get(f"{server.url}/dashboard/dashboard.json").json()["title"] == "Kairo CMS"
    assert httpx.get(f"{server.url}/dashboard/source.json").json()["kind"] == "built-in"


@pytest.mark.parametrize(
    "path", ["../../README.md", "%2e%2e/%2e%2e/README.md", "..%2f..%2fREADME.md", "vendor", "x.js"]
)
def test_nothing_else_is_served(server: DevServer, path: str) -> None:
    """No path leads out of the page's folder."""
    assert httpx.get(f"{server.url}/dashboard/{path}").status_code == 404


def test_another_site_can_not_read_the_data(server: DevServer) -> None:
    """A web page of another host name gets no data, and no script may read the data across origins."""
    for path in ("", "/source.json", "/api/v1/query?query=up"):
        answer = httpx.get(f"{server.url}/dashboard{path}", headers={"Host": f"evil.example:{server.port}"})
        assert answer.status_code == 400
    answer = httpx.get(f"{server.url}/dashboard/api/v1/query?query=up", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
    assert httpx.get(f"http://localhost:{server.port}/dashboard").status_code == 200


def test_the_api_is_read_only(server: DevServer) -> None:
    """The dashboard's API can't write, delete or administer."""
    base = f"{server.url}/dashboard/api/v1"
    assert httpx.get(f"{base}/status/config").status_code == 404
    assert httpx.get(f"{base}/metadata").status_code == 200
    assert httpx.get(f"{base}/targets").status_code == 404
    assert httpx.get(f"{base}/label/%2e%2e/values").status_code == 404
    assert httpx.post(f"{base}/query", data={"query": "up"}).status_code == 405


def test_the_history_counts_what_was_sent(server: DevServer) -> None:
    """The first requests to a route are an increase, although its series did not exist before."""
    for _ in range(7):
        httpx.get(f"{server.url}/api/content", headers=ACME)
    selector = '{route="/api/content",method="GET"}'
    query = f"sum(http_requests_total{selector})"
    with anyio.from_thread.start_blocking_portal() as portal, httpx.Client() as _:
        portal.call(_until, lambda: _values(ask(server, "query", query=query)) == ["7"])
    [risen] = ask(server, "query", query=f"sum(changes(http_requests_total{selector}[5m]))")["result"]
    assert int(risen["value"][1]) >= 1
    assert "/api/content" in ask(server, "label/route/values", **{"match[]": "http_requests_total"})
    assert ask(server, "labels", **{"match[]": "up"}) == ["__name__", "instance", "job"]
    assert "route" in ask(server, "labels")
    [up] = ask(server, "series", **{"match[]": "up"})
    assert up == {"__name__": "up", "instance": f"127.0.0.1:{server.port}", "job": "kairo-cms-development"}


def _values(answer: Any) -> list[str]:
    return [found["value"][1] for found in answer["result"]]


async def _until(condition: Any) -> None:
    for _ in range(200):
        if condition():
            return
        await anyio.sleep(0.1)
    raise AssertionError("nothing has come")


@pytest.mark.parametrize(
    ("path", "parameters", "reason"),
    [
        ("query", {}, "the parameter query is missing"),
        ("query", {"query": "sum("}, "in the query: sum("),
        ("query", {"query": "up", "time": "now"}, "time must be a number of seconds, not 'now'"),
        ("query_range", {"query": "up", "start": "0", "end": "1"}, "the parameter step is missing"),
        ("query_range", {"query": "up", "start": "9", "end": "1", "step": "1"}, "start must not be after end"),
        ("query_range", {"query": "up", "start": "0", "end": "9", "step": "0"}, "step must be positive"),
        ("query_range", {"query": "up", "start": "0", "end": "99999", "step": "1"}, "more than 2000 steps"),
        ("series", {"match[]": "sum(up)"}, "match[] must be a selector"),
    ],
)
def test_a_bad_query_is_answered_with_the_reason(
    server: DevServer, path: str, parameters: dict[str, str], reason: str
) -> None:
    """The response to a bad query has the reason, in the form of Prometheus' API."""
    answer = httpx.get(f"{server.url}/dashboard/api/v1/{path}", params=parameters)
    assert answer.status_code == 422
    assert answer.json()["status"] == "error"
    assert reason in answer.json()["error"]


def test_the_page_does_not_fill_the_log(server: DevServer) -> None:
    """The access log has the user's requests and not those of the page."""
    ask(server, "query", query="up")
    httpx.get(f"{server.url}/api/health?seen=1")
    assert "/api/health?seen=1" in server.output
    assert "/dashboard/" not in server.output


def test_metrics_that_are_off_are_named_on_the_page() -> None:
    """With ENABLE_METRICS=false the page says why there is no data."""
    with dev_server(env={"ENABLE_METRICS": "false"}) as server:
        with anyio.from_thread.start_blocking_portal() as portal:
            portal.call(_until, lambda: httpx.get(f"{server.url}/dashboard/source.json").json()["problem"])
        problem = httpx.get(f"{server.url}/dashboard/source.json").json()["problem"]
        assert problem == "/api/metrics answers 404: metrics are off: set ENABLE_METRICS=true"
        [up] = ask(server, "query", query="up")["result"]
        assert up["value"][1] == "0"


def test_a_project_without_metrics_has_no_dashboard(tmp_path: Path) -> None:
    """A project without a metrics page can use the path /dashboard itself."""
    root = make_project(tmp_path / "project")
    (root / "api" / "metrics.py").unlink()
    (root / "vercel.json").unlink()
    with dev_server(root) as server:
        assert "Dashboard" not in server.output
        assert httpx.get(f"{server.url}/dashboard").text.startswith("No function at /dashboard.")


def test_a_project_keeps_a_dashboard_of_its_own(tmp_path: Path) -> None:
    """An app that gets every path and has no metrics page also gets /dashboard."""
    root = shop_project(tmp_path / "shop")
    with dev_server(root) as server:
        assert httpx.get(f"{server.url}/dashboard").text == "the shop's own\n"
        assert httpx.get(f"{server.url}/anything").status_code == 200


SHOP = """
from prometheus_client import Counter
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from lib.kairo_metrics import instrument

ORDERS = Counter("orders_total", "Orders placed, by kind.", ["kind"])

async def order(request):
    ORDERS.labels(request.query_params.get("kind", "book")).inc()
    return PlainTextResponse("thanks\\n")

async def own(request):
    return PlainTextResponse("the shop's own\\n")

routes = [Route("/order", order), Route("/anything", own), Route("/dashboard", own)]
app = instrument(Starlette(routes=routes), prefix="shop_"PAGE)
"""


def shop_project(root: Path, *, has_page: bool = False) -> Path:
    """Write a project with one app for every path, which may serve the metrics page, too."""
    (root / "api").mkdir(parents=True)
    text = SHOP.replace("PAGE", ', metrics_path="/api/metrics"' if has_page else "")
    (root / "api" / "index.py").write_text(text)
    (root / "vercel.json").write_text('{"rewrites": [{"source": "/(.*)", "destination": "/api/index"}]}')
    (root / "pyproject.toml").write_text('[project]\nname = "my-shop"\n')
    (root / "lib").symlink_to(REPOSITORY / "lib")
    return root


def test_any_project_has_a_dashboard_of_its_own(tmp_path: Path) -> None:
    """The page comes with the package: its title is the project's, its queries have the prefix, its job is its own."""
    with dev_server(shop_project(tmp_path / "shop", has_page=True)) as server:
        assert httpx.get(f"{server.url}/order?kind=toy").text == "thanks\n"
        with anyio.from_thread.start_blocking_portal() as portal:
            portal.call(_until, lambda: httpx.get(f"{server.url}/dashboard").text.startswith("<!doctype html>"))
        with anyio.from_thread.start_blocking_portal() as portal:
            portal.call(_until, lambda: httpx.get(f"{server.url}/dashboard/source.json").json()["prefix"])
        document = httpx.get(f"{server.url}/dashboard/dashboard.json").json()
        assert (document["title"], document["uid"]) == ("My Shop", "my-shop")
        # It has no database and pushes nothing.
        assert "Database" not in [panel["title"] for panel in document["panels"]]
        assert "shop_http_requests_total" in str(document["panels"])
        assert 'job_name: "my-shop-development"' in server.output
        source = httpx.get(f"{server.url}/dashboard/source.json").json()
        assert (source["prefix"], source["problem"]) == ("shop_", "")
        [up] = ask(server, "series", **{"match[]": "up"})
        assert up["job"] == "my-shop-development"
        known = ask(server, "metadata")
        assert known["orders_total"] == [{"type": "counter", "help": "Orders placed, by kind.", "unit": ""}]
        assert known["shop_http_request_duration_seconds"][0]["type"] == "histogram"


def test_a_shared_redis_is_read_only_while_a_page_is_open(redis_url: str) -> None:
    """A shared or billed Redis gets no commands from a dashboard that is not open."""
    with dev_server(env={"REDIS_URL": redis_url}) as server, redis.Redis.from_url(redis_url) as client:
        client.config_resetstat()
        ask_nothing = httpx.get(f"{server.url}/api/health")
        assert ask_nothing.status_code == 200
        before = set(client.info("commandstats"))
        assert not any("scan" in command or "eval" in command for command in before), before
        with anyio.from_thread.start_blocking_portal() as portal:
            portal.call(_until, lambda: ask(server, "query", query="up")["result"])
        assert set(client.info("commandstats")) > before


def test_the_server_refuses_a_bad_prometheus_url(tmp_path: Path) -> None:
    """`make run` ends with code 2 and names the variable."""
    with starting_dev_server(make_project(tmp_path / "project"), {"PROMETHEUS_URL": "here"}) as server:
        server.process.wait(30)
        assert server.process.returncode == 2
        assert server.output.startswith("PROMETHEUS_URL must be")
