"""Pages of other web sites, in a real browser: they reach nothing of the dev server."""

from __future__ import annotations

import http.server
import json
import re
import threading

import httpx
from playwright.sync_api import Browser

from tests.support.dev_server import DevServer


class Evil(http.server.BaseHTTPRequestHandler):
    """A web site that is not on this machine as far as the browser knows: it is opened as evil.example."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>evil</title>")

    def log_message(self, *_: object) -> None:
        """Print nothing."""


FETCH = """async ([url, options]) => {
    try { const answer = await fetch(url, options); return `${answer.status} ${await answer.text()}`; }
    catch (error) { return "nothing"; }
}"""


def test_another_site_reaches_nothing(browser: Browser, server: DevServer) -> None:
    """The page of another site can neither read from nor write to the server, in a real browser."""
    new = json.dumps({"slug": "evil", "title": "a", "body": "b"})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Evil) as site:
        threading.Thread(target=site.serve_forever).start()
        page = browser.new_context().new_page()
        page.goto(f"http://evil.example:{site.server_port}/")
        assert page.title() == "evil"
        for options in ({}, {"mode": "no-cors"}, {"mode": "no-cors", "method": "POST", "body": new}):
            answer = page.evaluate(FETCH, [f"{server.url}/api/content?from=evil", options])
            assert answer in {"nothing", "0 "}
        page.context.close()
        site.shutdown()
    seen = re.findall(r'(\w+) /api/content\?from=evil HTTP/1.1" (\d+)', server.output)
    assert seen == [("GET", "403"), ("GET", "403"), ("POST", "403")]
    assert httpx.get(f"{server.url}/api/content/evil", headers={"X-Tenant": "acme"}).status_code == 404


def test_a_name_that_is_rebound_reaches_nothing(browser: Browser, server: DevServer) -> None:
    """A site that points its own name to this machine reads only the line that says it is refused."""
    page = browser.new_context().new_page()
    for path in ("/dashboard", "/api/content", "/dashboard/api/v1/query?query=up"):
        page.goto(f"http://evil.example:{server.port}{path}")
        assert page.locator("body").inner_text().startswith("Refused: the host evil.example is not this dev server.")
    page.context.close()
