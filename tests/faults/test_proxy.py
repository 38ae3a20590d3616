"""The proxy affects connections as its docstrings say, so tests of delivery can rely on it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from lib.kairo_metrics.dev.private_redis import private_redis
from tests.support.proxy import Proxy

# Timeouts in seconds: long for commands that must succeed on a busy machine, short for those that must time out.
PATIENT_S, HASTY_S = 30.0, 0.2


@contextmanager
def hasty(client: redis.Redis) -> Iterator[None]:
    """Let the client's connection, open or not, wait for a moment only."""
    [connection] = client.connection_pool._available_connections
    for limit_s in (HASTY_S, PATIENT_S):
        connection.socket_timeout = connection.socket_connect_timeout = limit_s
        if connection._sock:
            connection._sock.settimeout(limit_s)
        if limit_s == HASTY_S:
            yield


@pytest.fixture
def client(proxy: Proxy) -> Iterator[redis.Redis]:
    """Give a connected client that never repeats a command by itself."""
    retry = Retry(NoBackoff(), 0)
    with redis.Redis.from_url(
        proxy.url, socket_timeout=PATIENT_S, socket_connect_timeout=PATIENT_S, retry=retry
    ) as client:
        client.ping()
        proxy.reset_counts()
        yield client


def test_it_counts_connections_and_round_trips(proxy: Proxy, client: redis.Redis) -> None:
    """A pipeline counts as one round trip, and so does a reply of any length; they share one connection."""
    client.set("key", "x" * 1_000_000)
    assert len(client.get("key") or "") == 1_000_000
    with client.pipeline(transaction=False) as pipeline:
        pipeline.ping()
        pipeline.ping()
        pipeline.execute()
    assert (proxy.round_trips, proxy.connections) == (3, 0)
    assert proxy.replies >= 3
    client.connection_pool.disconnect()
    client.ping()
    assert proxy.connections == 1


@pytest.mark.parametrize("direction", ["request_delay_ms", "reply_delay_ms"])
def test_it_delays_either_direction(proxy: Proxy, client: redis.Redis, direction: str) -> None:
    """Every round trip takes the delay longer."""
    setattr(proxy, direction, 50)
    started = time.monotonic()
    client.ping()
    assert time.monotonic() - started >= 0.05


@pytest.mark.parametrize(("then_cut", "error"), [(True, redis.ConnectionError), (False, redis.TimeoutError)])
def test_a_command_with_a_lost_reply_has_run(
    proxy: Proxy, client: redis.Redis, redis_client: redis.Redis, *, then_cut: bool, error: type[Exception]
) -> None:
    """The client gets an error although the server ran the command; the next command is answered."""
    proxy.lose_reply(to=b"INCR", then_cut=then_cut)
    client.ping()
    with hasty(client), pytest.raises(error):
        client.incr("hits")
    assert not proxy.loss_is_pending
    assert redis_client.get("hits") == b"1"
    assert client.incr("hits") == 2


@pytest.mark.parametrize(("then_cut", "error"), [(True, redis.ConnectionError), (False, redis.TimeoutError)])
def test_a_lost_request_never_ran(
    proxy: Proxy, client: redis.Redis, redis_client: redis.Redis, *, then_cut: bool, error: type[Exception]
) -> None:
    """The client gets an error and the server ran nothing; the next command is answered."""
    proxy.lose_request(of=b"INCR", then_cut=then_cut)
    client.ping()
    with hasty(client), pytest.raises(error):
        client.incr("hits")
    assert not proxy.loss_is_pending
    assert redis_client.get("hits") is None
    assert client.incr("hits") == 1


def test_a_cut_request_runs_only_if_it_is_complete(
    proxy: Proxy, client: redis.Redis, redis_client: redis.Redis
) -> None:
    """The server gets only the bytes before the cut; it runs the command only if it got all of them."""
    request = b"*2\r\n$4\r\nINCR\r\n$4\r\nhits\r\n"
    for at in (1, len(request) - 1, len(request)):
        proxy.lose_request(of=b"INCR", at=at)
        with pytest.raises(redis.ConnectionError):
            client.execute_command("INCR", "hits")  # type: ignore[no-untyped-call]
        deadline_s = time.monotonic() + 10
        while (redis_client.get("hits") == b"1") != (at == len(request)):
            assert time.monotonic() < deadline_s


def test_a_cut_reply_is_an_error(proxy: Proxy, client: redis.Redis) -> None:
    """The client gets the bytes before the cut, and then the connection ends."""
    for at in range(len(b":1\r\n")):
        proxy.lose_reply(to=b"INCR", at=at)
        with pytest.raises(redis.ConnectionError):
            client.incr("hits")
    assert client.incr("hits") == 5


def test_a_half_open_connection_is_reset_when_it_is_used(proxy: Proxy, client: redis.Redis) -> None:
    """The client notices nothing until it sends something."""
    proxy.half_open()
    time.sleep(0.01)
    with pytest.raises(redis.ConnectionError):
        client.incr("hits")
    assert client.incr("hits") == 1


def test_a_deaf_address_neither_accepts_nor_refuses(proxy: Proxy, client: redis.Redis) -> None:
    """New connections time out, open ones go on, and afterwards the proxy listens again."""
    proxy.deafen()
    assert client.incr("hits") == 1
    proxy.cut()
    for _ in range(2):
        with hasty(client), pytest.raises(redis.RedisError):
            client.incr("hits")
    assert proxy.connections == 0
    proxy.listen()
    assert client.incr("hits") == 2


def test_it_forwards_to_another_server(proxy: Proxy, client: redis.Redis) -> None:
    """After a failover the same address leads to another server."""
    client.set("hits", "1")
    with private_redis() as url:
        proxy.lead_to(url)
        assert client.get("hits") is None


def test_a_black_hole_drops_requests(proxy: Proxy, client: redis.Redis, redis_client: redis.Redis) -> None:
    """The client waits until its own timeout, and the server never gets the request."""
    proxy.black_hole = True
    with hasty(client), pytest.raises(redis.TimeoutError):
        client.incr("hits")
    assert redis_client.get("hits") is None
    proxy.black_hole = False
    assert client.incr("hits") == 1


def test_cut_connections_and_refused_ones(proxy: Proxy, client: redis.Redis) -> None:
    """A cut ends open connections; a refusal refuses new ones until the proxy listens again at the same address."""
    proxy.refuse()
    client.ping()
    proxy.cut()
    for _ in range(2):
        with pytest.raises(redis.ConnectionError):
            client.incr("hits")
    proxy.listen()
    assert client.incr("hits") == 1


async def test_it_serves_async_clients_and_unix_sockets() -> None:
    """The Redis behind the proxy may listen on a Unix socket, and the client may be asynchronous."""
    with private_redis() as url, Proxy(url) as proxy:
        async with redis.asyncio.Redis.from_url(proxy.url) as client:
            assert await client.incr("hits") == 1


def test_what_is_held_reaches_the_server_later(proxy: Proxy, client: redis.Redis, redis_client: redis.Redis) -> None:
    """A held request has no effect until the proxy lets it go."""
    proxy.hold()
    with ThreadPoolExecutor() as pool:
        hits = pool.submit(client.incr, "hits")
        proxy.wait_until_held()
        assert redis_client.get("hits") is None
        assert proxy.round_trips == 0
        proxy.let_go()
        assert hits.result() == 1
    assert (proxy.held, proxy.round_trips) == (1, 1)
