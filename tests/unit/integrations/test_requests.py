"""What requests does is the same with an observed session, and every form of session is observed."""

from __future__ import annotations

import pickle
import subprocess
import sys
import weakref
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import Retry

from lib.kairo_metrics import observe
from tests.support.outbound_server import HERE, OK, counted


def test_observed_twice(url: str) -> None:
    """A session that is observed twice counts each request once; `observe` returns the session."""
    with requests.Session() as session, counted() as added:
        assert observe(observe(session)) is session
        session.get(f"{url}/200")
    assert added() == (OK, {})


def test_other_sessions_are_left_alone(url: str) -> None:
    """A session that was not given is not observed."""
    with requests.Session() as observed, requests.Session() as other, counted() as added:
        observe(observed).get(f"{url}/200")
        other.get(f"{url}/200")
    assert added() == (OK, {})


def test_retries_are_one_request(url: str) -> None:
    """The retries of an adapter are inside one request, and its own error is unchanged."""
    with requests.Session() as session, counted() as added:
        retries = Retry(total=2, backoff_factor=0, status_forcelist=[503])
        session.mount("http://", HTTPAdapter(max_retries=retries))
        with pytest.raises(requests.exceptions.RetryError):
            observe(session).get(f"{url}/503")
    assert added() == ({(HERE, "GET", "__error__"): 1}, {(HERE, "GET", "RetryError"): 1})


class _Own(BaseAdapter):
    """An adapter of the program's own, for another kind of address."""

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response.url, response._content = 418, request.url or "", b"own"
        return response

    def close(self) -> None:
        pass


def test_own_adapter() -> None:
    """An adapter that is mounted after `observe` is measured, and stays the object that was mounted."""
    with requests.Session() as session, counted() as added:
        observe(session)
        adapter = _Own()
        session.mount("own://", adapter)
        assert session.get("own://place/x").text == "own"
        assert session.get_adapter("own://place/x") is adapter
    assert added()[0] == {("place", "GET", "418"): 1}


def test_adapter_of_another_kind() -> None:
    """An adapter whose `send` is an attribute is measured; one that takes no attributes is called as before."""

    class Slotted:
        __slots__ = ()
        send, close = _Own.send, _Own.close

    class Set:
        def __init__(self) -> None:
            self.send, self.close = _Own().send, _Own().close

    with requests.Session() as session, counted() as added:
        observe(session)
        session.mount("slot://", Slotted())  # type: ignore[arg-type]
        session.mount("set://", Set())  # type: ignore[arg-type]
        assert session.get("slot://place/x").text == session.get("set://place/x").text == "own"
    assert added()[0] == {("place", "GET", "418"): 1}


def test_adapter_that_a_test_replaces(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """A test that replaces the adapter's method after a request gets what it has put there."""
    with requests.Session() as session:
        observe(session).get(f"{url}/200")
        monkeypatch.setattr(HTTPAdapter, "send", _Own.send)
        assert session.get("http://nowhere.invalid").text == "own"


def test_hooks_and_elapsed(url: str) -> None:
    """Hooks of the program are called as before, and the response knows its time and its history."""
    seen: list[int] = []
    with requests.Session() as session:
        session.hooks["response"].append(lambda response, **_: seen.append(response.status_code))
        response = observe(session).get(f"{url}/hop")
    assert seen == [302, 200]
    assert [earlier.status_code for earlier in response.history] == [302]
    assert response.elapsed.total_seconds() > 0


def test_streams(url: str) -> None:
    """A stream is read in the caller's own pieces or line by line, and can't be read twice."""
    with requests.Session() as session:
        observe(session)
        with session.get(f"{url}/200", stream=True) as response:
            assert list(response.iter_content(2)) == [b"he", b"ll", b"o"]
            with pytest.raises(requests.exceptions.StreamConsumedError):
                response.iter_content(2)
        with session.get(f"{url}/200", stream=True) as response:
            assert list(response.iter_lines()) == [b"hello"]
        with session.get(f"{url}/200", stream=True) as response:
            assert response.raw.read() == b"hello"


def test_objects_that_nobody_holds(url: str) -> None:
    """A session and a response that are used once, without a name, work as before."""
    session = observe(requests.Session())
    assert list(session.get(f"{url}/200", stream=True).iter_content(2)) == [b"he", b"ll", b"o"]
    assert list(session.get(f"{url}/200", stream=True)) == [b"hello"]
    assert observe(requests.Session()).get(f"{url}/200").text == "hello"
    session.close()


def test_response_of_another_session(url: str) -> None:
    """Errors in the body of a response that another session got are not counted."""
    with requests.Session() as observed, requests.Session() as other, counted() as added:
        observe(observed)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            other.get(f"{url}/cut")
    assert added() == ({}, {})


def test_stream_that_breaks_off(url: str) -> None:
    """An error while the caller reads a stream is counted, and is the one of requests."""
    with requests.Session() as session, counted() as added:
        response = observe(session).get(f"{url}/cut", stream=True)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            list(response.iter_content(2))
    assert added() == (OK, {(HERE, "GET", "ChunkedEncodingError"): 1})


def test_pickled_session_and_response(url: str) -> None:
    """A session and a response can be kept as before; a session that was pickled is observed when it is given again."""
    with requests.Session() as session:
        response = observe(session).get(f"{url}/200")
        copied = pickle.loads(pickle.dumps(session))
    assert pickle.loads(pickle.dumps(response)).text == "hello"
    with copied, counted() as added:
        observe(copied).get(f"{url}/200")
    assert added()[0] == OK


def test_forgotten_session_and_response(url: str) -> None:
    """Sessions and responses that are not used any more are gone at once, without a garbage collector."""
    session = requests.Session()
    adapter = HTTPAdapter()
    session.mount("http://", adapter)
    response = observe(session).get(f"{url}/200")
    gone = [weakref.ref(each) for each in (session, adapter, response)]
    response.close()
    session.close()
    del session, adapter, response
    assert [each() for each in gone] == [None, None, None]


ALL = """
import requests
from lib.kairo_metrics import observe
from lib.kairo_metrics.instruments.catalogue import catalogue
from lib.kairo_metrics.instruments.outbound_instruments import OutboundInstruments
from tests.support.outbound_server import counted, outbound_server

class Own(requests.Session):
    pass

catalogue(OutboundInstruments)
early, own = requests.Session(), Own()
observe(own)
observe(Own)
observe(early)
assert observe(requests.Session) is requests.Session
with outbound_server() as server, counted() as added:
    url = f"{server.url}/200"
    for get in early.get, own.get, requests.get, observe(requests.Session()).get:
        get(url)
        print(sum(added()[0].values()))
"""


def test_observed_class() -> None:
    """The class stands for every session, also for `requests.get` and those that exist; each request counts once."""
    ran = subprocess.run([sys.executable, "-c", ALL], check=True, capture_output=True, text=True)
    assert ran.stdout.split() == ["1.0", "2.0", "3.0", "4.0"]
