"""Redis with TLS: which certificates are trusted, and the errors for others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import redis

from lib.kairo_metrics import Settings, SettingsError
from lib.kairo_metrics.errors import StoreUnavailable
from tests.support.instance import Instance, Start, jobs_total
from tests.support.tls_front import TlsFront


@pytest.fixture
def front(redis_url: str) -> Iterator[TlsFront]:
    """Return a TLS server before the Redis of this test, with an authority that the system does not know."""
    with TlsFront(redis_url) as front:
        yield front


async def count_twice(instance: Instance) -> float:
    """Count once from the event loop and once from a thread, and return the count in Redis."""
    for flush in (instance.flusher.aflush, lambda: asyncio.to_thread(instance.flusher.flush)):
        instance.add('queue="a"')
        await flush()
    return await jobs_total(instance)


async def test_a_known_authority_is_trusted(start: Start, front: TlsFront) -> None:
    """With the authority's certificate in the settings, flushes and scrapes use TLS."""
    assert await count_twice(start(front.url, redis_tls_ca=front.authority)) == 2


async def test_an_unknown_certificate_is_refused(start: Start, front: TlsFront, redis_client: redis.Redis) -> None:
    """Without it nothing is sent, and the error names the two variables that help."""
    instance = start(front.url)
    instance.add('queue="a"')
    for flush in (instance.flusher.aflush, lambda: asyncio.to_thread(instance.flusher.flush)):
        with pytest.raises(StoreUnavailable, match=r"not trusted .*METRICS_REDIS_TLS_CA.*METRICS_REDIS_TLS_VERIFY"):
            await flush()
    assert redis_client.dbsize() == 0


async def test_another_host_with_a_good_certificate_is_refused(start: Start, redis_url: str) -> None:
    """A certificate of the known authority for another name is refused."""
    with TlsFront(redis_url, "redis.example.org") as front:
        instance = start(front.url, redis_tls_ca=front.authority)
        instance.add('queue="a"')
        with pytest.raises(StoreUnavailable, match=r"not trusted .*IP address mismatch.* a host that it is for"):
            await instance.flusher.aflush()


async def test_an_expired_certificate_is_refused(start: Start, redis_url: str) -> None:
    """The advice for an expired certificate differs from that for an unknown authority."""
    with TlsFront(redis_url, until=datetime.now(UTC) - timedelta(hours=1)) as front:
        instance = start(front.url, redis_tls_ca=front.authority)
        instance.add('queue="a"')
        with pytest.raises(StoreUnavailable, match=r"not trusted .*has expired.*: have it renewed, or"):
            await instance.flusher.aflush()


async def test_a_check_that_is_switched_off_takes_any_certificate(start: Start, redis_url: str) -> None:
    """Without the check, a self-signed certificate for another name is accepted, and the connection is encrypted."""
    with TlsFront(redis_url, "redis.example.org") as front:
        assert await count_twice(start(front.url, redis_tls_verify=False)) == 2


async def test_certificates_come_in_three_forms(start: Start, front: TlsFront, tmp_path: Path) -> None:
    """The variable holds the certificate as text, as text on one line, or as the path of a file."""
    file = tmp_path / "ca.pem"
    file.write_text(front.authority)
    for number, value in enumerate((front.authority, front.authority.strip().replace("\n", "\\n"), str(file)), 1):
        settings = Settings.from_env({"REDIS_URL": front.url, "METRICS_REDIS_TLS_CA": value})
        assert await count_twice(start(front.url, redis_tls_ca=settings.redis_tls_ca)) == 2 * number


def test_the_check_is_on_unless_it_is_switched_off() -> None:
    """Only a plain "no" turns the check off."""
    assert Settings.from_env({"METRICS_REDIS_TLS_VERIFY": ""}).redis_tls_verify
    assert not Settings.from_env({"METRICS_REDIS_TLS_VERIFY": "false"}).redis_tls_verify


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"METRICS_REDIS_TLS_CA": "/nowhere/ca.pem"}, r"METRICS_REDIS_TLS_CA .*'/nowhere/ca.pem'"),
        ({"METRICS_REDIS_TLS_CA": "-----BEGIN CERTIFICATE-----"}, "METRICS_REDIS_TLS_CA must hold"),
        ({"METRICS_REDIS_TLS_VERIFY": "perhaps"}, "METRICS_REDIS_TLS_VERIFY must be true or false"),
        ({"METRICS_REDIS_TLS_VERIFY": "false"}, "METRICS_REDIS_TLS_CA is set, but METRICS_REDIS_TLS_VERIFY=false"),
        ({"REDIS_URL": "redis://127.0.0.1"}, "METRICS_REDIS_TLS_CA is set, but .*rediss://"),
    ],
)
def test_a_bad_setting_is_refused(front: TlsFront, changed: dict[str, str], expected: str) -> None:
    """A missing file, a malformed certificate and contradicting settings are errors."""
    variables = {"REDIS_URL": front.url, "METRICS_REDIS_TLS_CA": front.authority, **changed}
    with pytest.raises(SettingsError, match=expected):
        Settings.from_env(variables)


@pytest.mark.parametrize("blocking", [False, True])
async def test_an_idle_tls_connection_is_used_until_the_server_ends_it(
    start: Start, front: TlsFront, redis_client: redis.Redis, *, blocking: bool
) -> None:
    """Flushes share one TLS connection, and the one after its end opens another."""
    instance = start(front.url, redis_tls_ca=front.authority)
    flush = partial(asyncio.to_thread, instance.flusher.flush) if blocking else instance.flusher.aflush
    before = redis_client.info("stats")["total_connections_received"]
    for _ in range(4):
        instance.add('queue="a"')
        await flush()
    assert redis_client.info("stats")["total_connections_received"] == before + 1
    redis_client.client_kill_filter(_type="normal", skipme=True)
    instance.add('queue="a"')
    await flush()
    assert await jobs_total(instance) == 5
