"""The credentials for the metrics page and the push, as they arrive over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from lib.kairo_metrics.config.push_settings import PushSettings
from lib.kairo_metrics.endpoints.metrics_endpoint import MetricsEndpoint
from lib.kairo_metrics.endpoints.push_endpoint import push_endpoint
from tests.support.host_server import SERVE, host_server
from tests.support.recording import Recording
from tests.support.write_receiver import write_receiver

GOOD = "a-good-clé"

OPENING = [
    [b"Bearer " + GOOD.encode()],
    [b"bearer " + GOOD.encode()],
    [b"BEARER   " + GOOD.encode() + b"  "],
]
CLOSED = [
    [],
    [b""],
    [b" "],
    [b"Bearer"],
    [b"Bearer "],
    [GOOD.encode()],
    [b"Basic " + GOOD.encode()],
    [b"Bearer" + GOOD.encode()],
    [b"Bearer\t" + GOOD.encode()],
    [b"Bearer " + GOOD.encode()[:-1]],
    [b"Bearer " + GOOD.encode() + b"x"],
    [b"Bearer " + GOOD.encode() + b"\x00"],
    [b"Bearer " + GOOD.encode("latin-1")],
    [b"Bearer " + "a-good-cle\u0301".encode()],  # it looks the same
    [b"Bearer " + GOOD.upper().encode()],
    [b"Bearer " + GOOD.encode() + b", Bearer " + GOOD.encode()],
    [b"Bearer " + GOOD.encode()] * 2,
    [b"Bearer wrong", b"Bearer " + GOOD.encode()],
    [b"Bearer " + b"x" * 1_000_000],
    [b"Bearer " + GOOD.encode() + b" " + b"x" * 1_000_000],
    [b"B" * 1_000_000],
    [b"Bearer \xff\xfe\x00"],
]


async def status(app: Any, credentials: list[bytes]) -> int:
    """Send a request as a platform passes it on: headers are bytes of any size, and may be repeated."""
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.Event().wait()  # the client stays connected

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"Authorization", value) for value in credentials]
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/api/x",
        "query_string": b"",
        "headers": headers,
        "root_path": "",
    }
    await app({**scope, "http_version": "1.1", "scheme": "https", "server": ("cms.example.org", 443)}, receive, send)
    code: int = sent[0]["status"]
    if code == 401:
        assert (b"www-authenticate", b"Bearer") in sent[0]["headers"]
    return code


def page(recording: Recording, *tokens: str) -> MetricsEndpoint:
    """Build the metrics page with these tokens."""
    return MetricsEndpoint(recording.pipeline, recording.pipeline.settings.changed(auth_tokens=tokens))


@pytest.mark.parametrize("credentials", OPENING, ids=range(len(OPENING)))
async def test_good_credentials_are_accepted_by_both(recording: Recording, credentials: list[bytes]) -> None:
    """The case of the scheme and spaces around the token do not matter, and characters beyond ASCII are UTF-8."""
    assert await status(page(recording, "another", GOOD), credentials) == 200
    with write_receiver() as receiver:
        pushes = PushSettings(url=receiver.url, cron_secret=GOOD)
        assert await status(push_endpoint(recording.pipeline, recording.pipeline.settings, pushes), credentials) == 200


@pytest.mark.parametrize("credentials", CLOSED, ids=range(len(CLOSED)))
async def test_bad_credentials_are_refused_by_both(recording: Recording, credentials: list[bytes]) -> None:
    """Missing, malformed, repeated, almost right and huge credentials all get the same 401."""
    assert await status(page(recording, "another", GOOD), credentials) == 401
    pushes = PushSettings(url="http://127.0.0.1:1/", cron_secret=GOOD)
    assert await status(push_endpoint(recording.pipeline, recording.pipeline.settings, pushes), credentials) == 401


async def test_a_rotation_never_refuses_a_scraper(recording: Recording) -> None:
    """With the old token, then both, then the new one, a scraper that changes in between always gets the page."""
    old, new = [b"Bearer old"], [b"Bearer new"]
    for tokens, opened in ((("old",), (200, 401)), (("new", "old"), (200, 200)), (("new",), (401, 200))):
        app = page(recording, *tokens)
        assert (await status(app, old), await status(app, new)) == opened


@pytest.mark.parametrize("secret", ["", " ", "\n"])
async def test_an_empty_secret_admits_no_push(recording: Recording, secret: str) -> None:
    """With an empty CRON_SECRET every push is refused."""
    pushes = PushSettings.from_env({"METRICS_REMOTE_WRITE_URL": "http://127.0.0.1:1/", "CRON_SECRET": secret})
    app = push_endpoint(recording.pipeline, recording.pipeline.settings, pushes)
    for credentials in ([], [b"Bearer "], [b"Bearer"], [f"Bearer {secret}".encode()]):
        assert await status(app, credentials) == 503


@pytest.mark.parametrize("tokens", [",", "good,", " , good", "good,,better"])
def test_an_empty_token_closes_the_page_and_is_named(tokens: str) -> None:
    """No credentials open the page, and it names the variable."""
    with host_server({"ENABLE_METRICS": "true", "METRICS_AUTH_TOKEN": tokens}, command=SERVE) as server:
        for credentials in ({}, {"Authorization": "Bearer good"}, {"Authorization": "Bearer ,"}):
            answer = httpx.get(f"{server.url}/api/metrics", headers=credentials)
            assert answer.status_code == 503
            assert "METRICS_AUTH_TOKEN has an empty token" in answer.text


def test_huge_and_repeated_headers_do_not_end_the_server(redis_url: str) -> None:
    """A megabyte of credentials is refused, and the next scrape is served."""
    environ = {"ENABLE_METRICS": "true", "METRICS_AUTH_TOKEN": "good", "REDIS_URL": redis_url}
    with host_server(environ) as server:
        url = f"{server.url}/api/metrics"
        for value in (b"Bearer " + b"x" * 1_000_000, b"x" * 1_000_000):
            try:
                refused = httpx.get(url, headers={b"Authorization": value}).status_code
            except httpx.TransportError:  # the server closed the connection while the client was sending
                refused = 400
            assert refused in {400, 401, 413, 431}
        twice = [("Authorization", "Bearer good"), ("Authorization", "Bearer good")]
        assert httpx.get(url, headers=twice).status_code == 401
        assert httpx.get(url, headers={"Authorization": "Bearer good"}).status_code == 200
        assert "Traceback" not in server.output
