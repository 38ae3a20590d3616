"""Which requests reach the dev server's functions and its dashboard."""

from __future__ import annotations

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from lib.kairo_metrics.dev.gate import Gate

PAGE = PlainTextResponse("the function's answer")


async def ask(headers: dict[str, str], hosts: tuple[str, ...] = ()) -> httpx.Response:
    transport = httpx.ASGITransport(Gate(PAGE, hosts))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
        return await client.get("/api/content", headers=headers)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:3000",
        "LOCALHOST.:3000",
        "127.0.0.1:3000",
        "127.0.0.2",
        "[::1]:3000",
        "[::1]",
        "shop.localhost:8080",
        "host.docker.internal:3000",
        "host.containers.internal:3000",
    ],
)
async def test_this_machine_has_many_names(host: str) -> None:
    """Every name of the loopback interface reaches the function, with any port, also from a container."""
    assert (await ask({"Host": host})).text == "the function's answer"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:3000",
        "localhost.evil.example",
        "evillocalhost",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "localhost/evil.example",
        "localhost:port",
        "0.0.0.0:3000",
        "192.168.1.7:3000",
        "[::]:3000",
        "[::1",
        "",
    ],
)
async def test_a_foreign_host_is_refused(host: str) -> None:
    """A page that points its own name to 127.0.0.1 gets one line that says why it is refused."""
    answer = await ask({"Host": host})
    assert answer.status_code == 400
    assert answer.text.startswith("Refused: the host ")
    assert answer.text.count("\n") == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "Cross-Site", "Sec-Fetch-Mode": "navigate"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "file://"},
        {"Origin": "https://localhost.evil.example"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Origin": ""},
    ],
)
async def test_another_web_site_is_refused(headers: dict[str, str]) -> None:
    """A request that the page of another site makes the browser send is refused."""
    answer = await ask(headers)
    assert answer.status_code == 403
    assert answer.text.startswith("Refused: the request comes from ")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://localhost:5173", "Sec-Fetch-Site": "same-site"},
        {"Origin": "http://127.0.0.1:5173", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://[::1]:5173"},
        {"Referer": "https://evil.example/"},
    ],
)
async def test_programs_and_pages_of_this_machine_are_answered(headers: dict[str, str]) -> None:
    """curl, Prometheus, a typed address, the server's own page, and the front end on another port are answered."""
    assert (await ask(headers)).status_code == 200


async def test_further_names_can_be_allowed() -> None:
    """A tunnel's name in METRICS_DEV_HOSTS is answered and may be the origin; others are still refused."""
    hosts = ("me-3000.app.example",)
    tunnel = {"Host": "me-3000.app.example", "Origin": "https://me-3000.app.example"}
    assert (await ask(tunnel, hosts)).status_code == 200
    assert (await ask({"Host": "evil.example"}, hosts)).status_code == 400
    everyone = {"Host": "evil.example", "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert (await ask(everyone, ("*",))).status_code == 200


async def test_the_refusal_has_no_control_characters() -> None:
    """What a page writes into its headers can't steer a terminal."""
    answer = await ask({"Origin": "https://\x1b[2Jevil"})
    assert answer.status_code == 403
    assert "\x1b" not in answer.text
    assert "METRICS_DEV_HOSTS" not in answer.text


@pytest.mark.parametrize(
    ("origin", "is_let_through"), [("http://localhost:5173", True), ("https://evil.example", False)]
)
async def test_a_websocket_of_another_site_is_refused(origin: str, is_let_through: bool) -> None:
    """A page of another site opens no websocket either; browsers ask no permission for one first."""
    sent: list[str] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message["type"])

    headers = [(b"host", b"localhost:3000"), (b"origin", origin.encode())]
    await Gate(app)({"type": "websocket", "headers": headers}, receive, send)
    assert sent == ["websocket.accept" if is_let_through else "websocket.close"]
