"""What httpx does is the same with an observed client, and every form of client is observed."""

from __future__ import annotations

import asyncio
import gc
import pickle
import subprocess
import sys
import weakref

import httpx
import pytest

from lib.kairo_metrics import observe
from tests.support.outbound_server import HERE, OK, counted


def test_observed_twice(url: str) -> None:
    """A client that is observed twice counts each request once; `observe` returns the client."""
    with httpx.Client() as client, counted() as added:
        assert observe(observe(client)) is client
        client.get(f"{url}/200")
    assert added() == (OK, {})


def test_other_clients_are_left_alone(url: str) -> None:
    """A client that was not given is not observed."""
    with httpx.Client() as observed, httpx.Client() as other, counted() as added:
        observe(observed)
        other.get(f"{url}/200")
    assert added() == ({}, {})


def test_each_login_is_a_request(url: str) -> None:
    """Digest access takes two requests, and both are counted."""
    with httpx.Client(auth=httpx.DigestAuth("a", "b")) as client, counted() as added:
        assert observe(client).get(f"{url}/login").status_code == 200
    assert added()[0] == {(HERE, "GET", "401"): 1, **OK}


def test_mounted_transport() -> None:
    """A transport that was mounted for some addresses, also after `observe`, is measured; it stays what it is."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(418, text=request.url.host)

    mounted = httpx.MockTransport(answer)
    with httpx.Client(mounts={"all://a.invalid": mounted}) as client, counted() as added:
        transport = client._transport
        observe(client)
        assert client.get("http://a.invalid").text == "a.invalid"
        assert client._transport is transport
        assert client._mounts == {httpx._utils.URLPattern("all://a.invalid"): mounted}
    assert added()[0] == {("a.invalid", "GET", "418"): 1}


def test_transport_that_a_test_replaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that replaces the transport's method after `observe` gets what it has put there."""
    with httpx.Client() as client:
        observe(client)
        monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda *_: httpx.Response(200, text="mocked"))
        assert client.get("http://nowhere.invalid").text == "mocked"


def test_event_hooks_and_elapsed(url: str) -> None:
    """Hooks of the program are called as before, and the response knows its time."""
    seen: list[str] = []
    hooks = {"request": [lambda _: seen.append("request")], "response": [lambda _: seen.append("response")]}
    with httpx.Client(event_hooks=hooks) as client:
        response = observe(client).get(f"{url}/200")
    assert seen == ["request", "response"]
    assert response.elapsed.total_seconds() > 0
    assert response.is_stream_consumed
    assert response.is_closed


def test_streams(url: str) -> None:
    """A stream is read in the caller's own pieces, line by line or raw, and can't be read twice."""
    with httpx.Client() as client:
        observe(client)
        with client.stream("GET", f"{url}/200") as response:
            assert list(response.iter_bytes(2)) == [b"he", b"ll", b"o"]
            with pytest.raises(httpx.StreamConsumed):
                list(response.iter_raw())
        with client.stream("GET", f"{url}/200") as response:
            assert list(response.iter_lines()) == ["hello"]
        with client.stream("GET", f"{url}/200") as response:
            next(response.iter_raw(1))
        assert response.is_closed


def test_pickled_response(url: str) -> None:
    """A response can be kept in a cache as before."""
    with httpx.Client() as client:
        response = observe(client).get(f"{url}/200")
    assert pickle.loads(pickle.dumps(response)).text == "hello"


def test_forgotten_client() -> None:
    """A client that is not used any more is gone at once, without a garbage collector."""
    client = observe(httpx.Client())
    client.close()
    gone = weakref.ref(client)
    gc.disable()
    try:
        del client
        assert gone() is None
    finally:
        gc.enable()


async def test_cancelled_request(url: str) -> None:
    """A time limit of asyncio around a request is an error, and the task stays cancelled."""
    async with httpx.AsyncClient() as client:
        observe(client)
        with counted() as added, pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.get(f"{url}/hang")
    assert added() == ({(HERE, "GET", "__error__"): 1}, {(HERE, "GET", "CancelledError"): 1})


async def test_concurrent_requests(url: str) -> None:
    """Requests of one client at the same time are counted each; a stream that is left early leaves nothing open."""
    async with httpx.AsyncClient() as client:
        observe(client)
        with counted() as added:
            await asyncio.gather(*[client.get(f"{url}/200") for _ in range(5)])
            async with client.stream("GET", f"{url}/200") as response:
                async for _ in response.aiter_raw(1):
                    break
    assert added() == ({(HERE, "GET", "200"): 6}, {})


def test_unknown_release(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A release of httpx without the method that is replaced is used as before, and the log tells of it."""
    monkeypatch.delattr(httpx.Client, "_send_single_request")
    with httpx.Client() as client:
        assert observe(client) is client
    assert "its requests are not observed" in caplog.text


ALL = """
import asyncio, httpx
from lib.kairo_metrics import observe
from lib.kairo_metrics.instruments.catalogue import catalogue
from lib.kairo_metrics.instruments.outbound_instruments import OutboundInstruments
from tests.support.outbound_server import counted, outbound_server

class Own(httpx.Client):
    pass

catalogue(OutboundInstruments)
early, own = httpx.Client(), Own()
observe(own)
observe(Own)
observe(early)
assert observe(httpx.Client) is httpx.Client
observe(httpx.AsyncClient)

async def send(url):
    async with httpx.AsyncClient() as client:
        await client.get(url)

with outbound_server() as server, counted() as added:
    url = f"{server.url}/200"
    for get in early.get, own.get, httpx.get, observe(httpx.Client()).get:
        get(url)
        print(sum(added()[0].values()))
    asyncio.run(send(url))
    print(sum(added()[0].values()))
"""


def test_observed_classes() -> None:
    """The classes stand for every client, also for `httpx.get` and those that exist; each request counts once."""
    ran = subprocess.run([sys.executable, "-c", ALL], check=True, capture_output=True, text=True)
    assert ran.stdout.split() == ["1.0", "2.0", "3.0", "4.0", "5.0"]
