"""Logins, databases and permissions of Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import redis

from lib.kairo_metrics.errors import StoreError, StoreRefused
from tests.support.instance import Start, jobs_total
from tests.support.proxy import Proxy


@pytest.fixture
def login(redis_client: redis.Redis) -> Iterator[str]:
    """Return user and password of an account that exists during the test."""
    redis_client.acl_setuser("kairo", enabled=True, passwords=["+hush"], keys=["kairo:*"], categories=["+@all"])
    yield "kairo:hush@"
    redis_client.acl_deluser("kairo")


async def test_a_login_costs_one_round_trip_per_connection(start: Start, proxy: Proxy, login: str) -> None:
    """Password and database are sent together, from the event loop and from a thread."""
    address = proxy.url.replace("//", f"//{login}").replace("/0", "/3")
    instance = start(address)
    for flush in (instance.flusher.aflush, lambda: asyncio.to_thread(instance.flusher.flush)):
        for connections, round_trips in ((1, 2), (0, 1)):
            instance.add('queue="a"')
            proxy.reset_counts()
            await flush()
            # The script may be unknown once per Redis, and not once per connection.
            assert proxy.connections == connections
            assert proxy.round_trips <= round_trips + (connections and flush == instance.flusher.aflush)
    assert await jobs_total(instance) == 4


@pytest.mark.parametrize("version", ["2", "3"])
async def test_an_address_may_choose_the_version_of_the_protocol(start: Start, redis_url: str, version: str) -> None:
    """An address that the app's own client uses works: flushes and pages are the same with each version."""
    instance = start(f"{redis_url}?protocol={version}")
    for flush in (instance.flusher.aflush, lambda: asyncio.to_thread(instance.flusher.flush)):
        instance.add('queue="a"')
        await flush()
    assert await jobs_total(instance) == 2


REFUSED_LOGINS = [("hush", "whisper", "invalid username-password"), ("/0", "/99", "DB index is out of range")]


@pytest.mark.parametrize("refused", REFUSED_LOGINS)
async def test_a_refused_login_is_an_error_and_nothing_is_written(
    start: Start, redis_url: str, redis_client: redis.Redis, login: str, refused: tuple[str, str, str]
) -> None:
    """A wrong password or database is an error without the password, and nothing is written to another database."""
    right, wrong, reason = refused
    instance = start(redis_url.replace("//", f"//{login}").replace(right, wrong))
    for flush in (instance.flusher.aflush, lambda: asyncio.to_thread(instance.flusher.flush)):
        instance.add('queue="a"')
        with pytest.raises(StoreError, match=reason) as caught:
            await flush()
        assert "hush" not in str(caught.value)
        assert "whisper" not in str(caught.value)
    assert redis_client.keys("*") == []


async def test_a_scrape_without_permission_fails_instead_of_being_empty(
    start: Start, redis_url: str, redis_client: redis.Redis, login: str
) -> None:
    """A store that refuses reads is a failed scrape, and not a page without metrics."""
    instance = start(redis_url.replace("//", f"//{login}"))
    instance.add('queue="a"')
    await instance.flusher.aflush()
    redis_client.acl_setuser("kairo", commands=["-hscan"])
    with pytest.raises(StoreRefused, match="hscan"):
        await jobs_total(instance)
