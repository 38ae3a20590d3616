"""Requests that httpx, httpx2 and requests send to a real server, in `outbound_http_*`: the same of each client."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import httpx
import httpx2
import pytest
import requests

from lib.kairo_metrics import observe
from lib.kairo_metrics.instruments.catalogue import catalogue
from lib.kairo_metrics.instruments.outbound_instruments import OutboundInstruments
from lib.kairo_metrics.integrations import outbound
from lib.kairo_metrics.integrations.bounded import BoundedLabel
from tests.support.outbound_server import HERE, counted, seconds


def errors(name: str, of_requests: type[Exception]) -> tuple[type[Exception], ...]:
    """Return an exception of httpx by its name, with those of the other libraries that stand for it."""
    return getattr(httpx, name), getattr(httpx2, name), of_requests


class Client:
    """One of five clients, with one way to call them."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.library: Any = httpx2 if kind.startswith("httpx2") else httpx

    def __call__(self, method: str, url: str, *, stream: bool = False, **options: Any) -> str:
        """Send one request with an observed client, follow redirects, and return the body, or of a stream nothing."""
        if self.kind == "requests":
            with requests.Session() as session:
                observe(session)
                with session.request(method, url, stream=stream, **options) as response:
                    return "" if stream else response.text
        if self.kind in {"httpx", "httpx2"}:
            with self.library.Client(follow_redirects=True) as client:
                observe(client)
                if stream:
                    with client.stream(method, url, **options):
                        return ""
                return str(client.request(method, url, **options).text)
        return asyncio.run(self._send(method, url, stream=stream, **options))

    async def _send(self, method: str, url: str, *, stream: bool, **options: Any) -> str:
        async with self.library.AsyncClient(follow_redirects=True) as client:
            observe(client)
            if stream:
                async with client.stream(method, url, **options):
                    return ""
            return str((await client.request(method, url, **options)).text)

    def name_of(self, error: str) -> str:
        """Return the class of an exception, which is called otherwise in requests."""
        names = {
            "ConnectError": "ConnectionError",
            "RemoteProtocolError": "ConnectionError",
            "cut": "ChunkedEncodingError",
        }
        return names.get(error, error) if self.kind == "requests" else {"cut": "RemoteProtocolError"}.get(error, error)


@pytest.fixture(autouse=True)
def _metrics_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build the catalogue, which exists while metrics are on; no proxy of this machine."""
    catalogue(OutboundInstruments)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["requests", "httpx", "httpx async", "httpx2", "httpx2 async"])
def client(request: pytest.FixtureRequest) -> Client:
    """Give one of the five clients."""
    return Client(request.param)


def test_host_method_and_status(client: Client, url: str) -> None:
    """Each request counts by host, without its port, by method and by status, and the body is what was sent."""
    with counted() as added:
        assert client("GET", f"{url}/items/1?token=secret") == "hello"
        client("POST", f"{url}/404", data={"a": "b"})
        client("PUT", f"{url}/503")
        client("HEAD", f"{url}/200")
        client("DELETE", f"{url.replace(HERE, 'LocalHost')}/200")
    assert added() == (
        {
            (HERE, "GET", "200"): 1,
            (HERE, "POST", "404"): 1,
            (HERE, "PUT", "503"): 1,
            (HERE, "HEAD", "200"): 1,
            ("localhost", "DELETE", "200"): 1,
        },
        {},
    )


def test_each_redirect_is_a_request(client: Client, url: str) -> None:
    """A redirect counts at the host that gave it, and what follows at the host that it leads to."""
    with counted() as added:
        assert client("GET", f"{url}/hop") == "hello"
    assert added() == ({(HERE, "GET", "302"): 1, ("localhost", "GET", "200"): 1}, {})


def test_too_many_redirects(client: Client, url: str) -> None:
    """The client's own error is unchanged; each request on the way was answered."""
    with counted() as added, pytest.raises(errors("TooManyRedirects", requests.TooManyRedirects)):
        client("GET", f"{url}/circle")
    requested, failed = added()
    assert list(requested) == [(HERE, "GET", "302")]
    assert failed == {}


def test_refused_connection(client: Client) -> None:
    """Where nothing listens the request counts as `__error__`, and its exception by class."""
    with counted() as added, pytest.raises(errors("ConnectError", requests.ConnectionError)):
        client("GET", "http://127.0.0.1:1/")
    assert added() == ({(HERE, "GET", "__error__"): 1}, {(HERE, "GET", client.name_of("ConnectError")): 1})


def test_unknown_host(client: Client) -> None:
    """A name that no server knows is an error of that host."""
    with counted() as added, pytest.raises(errors("ConnectError", requests.ConnectionError)):
        client("GET", "http://nowhere.invalid/")
    [(host, _, status)] = added()[0]
    assert (host, status) == ("nowhere.invalid", "__error__")


def test_server_that_hangs_up(client: Client, url: str) -> None:
    """A connection that ends without an answer is an error."""
    with counted() as added, pytest.raises(errors("RemoteProtocolError", requests.ConnectionError)):
        client("GET", f"{url}/hangs-up")
    assert added() == ({(HERE, "GET", "__error__"): 1}, {(HERE, "GET", client.name_of("RemoteProtocolError")): 1})


def test_time_limit(client: Client, url: str) -> None:
    """A server that does not answer in time is an error, and the time that was waited is in the duration."""
    before = seconds()
    with counted() as added, pytest.raises(errors("ReadTimeout", requests.ReadTimeout)):
        client("GET", f"{url}/hang", timeout=0.2)
    assert added() == ({(HERE, "GET", "__error__"): 1}, {(HERE, "GET", "ReadTimeout"): 1})
    assert seconds() - before >= 0.2


def test_body_that_breaks_off(client: Client, url: str) -> None:
    """A body that ends too early is an error of a request that has its status; the exception is the client's own."""
    with counted() as added, pytest.raises(errors("RemoteProtocolError", requests.exceptions.ChunkedEncodingError)):
        client("GET", f"{url}/cut")
    assert added() == ({(HERE, "GET", "200"): 1}, {(HERE, "GET", client.name_of("cut")): 1})


def test_stream_that_is_left(client: Client, url: str) -> None:
    """A stream that is closed before its end counts once and is no error."""
    with counted() as added:
        client("GET", f"{url}/cut", stream=True)
    assert added() == ({(HERE, "GET", "200"): 1}, {})


def test_packed_body(client: Client, url: str) -> None:
    """A body that is unpacked while it is read is read as before."""
    with counted():
        assert client("GET", f"{url}/packed") == "hello"


def test_address_without_a_host(client: Client) -> None:
    """An address without a host is the client's error, as without metrics."""
    with counted() as added, pytest.raises(errors("UnsupportedProtocol", requests.RequestException)):
        client("GET", "/no/host")
    assert set(added()[0]) <= {("__unknown__", "GET", "__error__")}


def test_hosts_without_limit(client: Client, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program whose users choose the hosts makes no series without limit: further hosts share one."""
    monkeypatch.setattr(outbound, "_host_label", BoundedLabel(2))
    with counted() as added:
        client("GET", f"{url}/200")
        for number in range(3):
            with suppress(*errors("ConnectError", requests.ConnectionError)):
                client("GET", f"http://tenant{number}.invalid/")
        client("GET", f"{url}/200")
    assert {host: value for (host, _, _), value in added()[0].items()} == {
        HERE: 2,
        "tenant0.invalid": 1,
        "__overflow__": 2,
    }


def test_invented_methods(client: Client, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that passes on the methods of its clients makes no series without limit either."""
    monkeypatch.setattr(outbound, "_method_label", BoundedLabel(1))
    with counted() as added:
        client("GET", f"{url}/200")
        client("BREW", f"{url}/200")
    assert added()[0].keys() == {(HERE, "GET", "200"), (HERE, "__overflow__", "501")}


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("http://Example.INVALID.:81/", "example.invalid"),
        ("http://bücher.invalid/", "xn--bcher-kva.invalid"),
        ("http://[::1]:1/", "::1"),
        ("http://user:password@x.invalid:81/", "x.invalid"),
    ],
)
def test_forms_of_a_host(client: Client, given: str, host: str) -> None:
    """A host has one label value, however it is written; a login is never in it."""
    with counted() as added, pytest.raises(errors("TransportError", requests.RequestException)):
        client("GET", given, timeout=5)
    assert {label for label, _, _ in added()[0]} == {host}


def test_status_that_does_not_exist(client: Client, url: str) -> None:
    """A server that answers with a number of its own makes one series."""
    with counted() as added:
        client("GET", f"{url}/999")
    assert list(added()[0]) == [(HERE, "GET", "__unknown__")]
