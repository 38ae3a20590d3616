"""What Redis answers when it refuses: the words reach the page and the log, and `doctor` has advice for each."""

from __future__ import annotations

import re

import httpx
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from lib.kairo_metrics import Settings, StoreError
from lib.kairo_metrics.cli.doctor.redis_advice import REPLIES, advice_on_reply, how_to_reach
from lib.kairo_metrics.dev.private_redis import private_redis
from lib.kairo_metrics.store.connections.connection_arguments import readable
from lib.kairo_metrics.store.redis_store import RedisStore
from tests.support.doctor_run import TOKEN, Doctor, healthy
from tests.support.host_server import host_server
from tests.support.ports import free_port
from tests.support.refusing_redis import refusing_redis
from tests.support.site import Page, endpoint, site

# The replies of Redis, Valkey and hosted servers, and words of the advice.
REFUSALS = {
    "WRONGPASS invalid username-password pair or user is disabled.": "correct the user and the password",
    "WRONGPASS invalid or missing auth token": "correct the user and the password",
    "ERR invalid password": "correct the password in REDIS_URL",
    "ERR Client sent AUTH, but no password is set": "leave the password out",
    "ERR AUTH <password> called without any password configured for the default user.": "leave the password out",
    "NOAUTH Authentication required.": "put the password into REDIS_URL",
    "ERR DB index is out of range": "correct the database number",
    "ERR SELECT is not allowed in cluster mode": "a cluster has only 0",
    "NOPERM this user has no permissions to run the 'ping' command": "ACL SETUSER",
    "NOPERM User kairo has no permissions to run the 'ping' command": "ACL SETUSER",
    "ERR max number of clients reached": "too many clients are connected",
    "ERR max number of clients + cluster connections reached": "too many clients are connected",
    "ERR max concurrent connections exceeded": "too many clients are connected",
    "ERR max request size exceeded. Limit: 1048576 bytes": "limits the size of commands",
    "ERR max single record size exceeded": "storage is full",
    "ERR DB capacity quota exceeded": "storage is full",
    "ERR max requests limit exceeded. Limit: 500000, Usage: 500000.": "the limit of the provider's plan is used up",
    "ERR max daily request limit exceeded. Limit: 10000, Usage: 10001.": "the limit of the provider's plan is used up",
    "ERR max monthly bandwidth limit exceeded": "the limit of the provider's plan is used up",
    "LOADING Redis is loading the dataset in memory": "wait: after a start",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.": "has lost its master",
    "CLUSTERDOWN The cluster is down": "the cluster has lost nodes",
    "READONLY You can't write against a read only replica.": "this is a replica",
    "NOREPLICAS Not enough good replicas to write.": "writes only with more replicas",
    "MISCONF Errors writing to the AOF file: No space left on device": "space on its disk",
    "OOM command not allowed when used memory > 'maxmemory'.": "the memory of Redis is full",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.": "SCRIPT KILL",
}


@pytest.mark.parametrize("reply", REFUSALS)
def test_each_refusal_has_its_own_advice(doctor: Doctor, reply: str) -> None:
    """`doctor` repeats the words of Redis, and its advice fits them; a firewall is none."""
    with refusing_redis(reply) as url:
        report = doctor("--timeout", "5", **healthy(url))
    assert report.failed == {"redis"}
    _, found, advice = report.checks["redis"]
    assert reply.removeprefix("ERR ") in found
    assert REFUSALS[reply] in advice
    assert "firewall" not in advice


@pytest.mark.parametrize("reply", REFUSALS)
def test_the_advice_from_outside_is_the_same(doctor: Doctor, reply: str) -> None:
    """The words of Redis are in the 503 of the page, and `doctor --url` has the same advice for them."""
    broken = Page(503, f"the store could not be read: Redis: {reply}\n".encode(), {"Content-Type": "text/plain"})
    with site(
        lambda path, headers: broken if TOKEN in headers.get("authorization", "") else endpoint()(path, headers)
    ) as url:
        report = doctor("--url", url, METRICS_AUTH_TOKEN=TOKEN)
    assert report.failed == {"store"}
    assert REFUSALS[reply] in report.text("store")


def test_every_kind_of_refusal_is_tried() -> None:
    """Each row of the table of advice is shown by one of the replies above."""
    assert set(REPLIES.values()) == {advice_on_reply(reply) for reply in REFUSALS}


@pytest.mark.parametrize("words", ["ERR this provider has words of its own", "STRANGE code"])
def test_unknown_words_are_no_firewall(doctor: Doctor, words: str) -> None:
    """Redis did answer: the advice is to look up its words."""
    with refusing_redis(words) as url:
        report = doctor("--timeout", "5", **healthy(url))
    assert "look for these words in its log" in report.text("redis")


@pytest.mark.parametrize(
    ("url", "reason", "advice"),
    [
        ("redis://h", "Redis: Error -2 connecting to h:1. Name or service not known.", "correct the host in REDIS_URL"),
        ("redis://h", "the connection to Redis broke", "if this is a server for TLS alone"),
        ("redis://h", "Redis did not answer in time", "look for a firewall before Redis"),
        ("rediss://h", "Redis did not answer in time", "and whether that port speaks TLS"),
        ("rediss://h", "Redis: [SSL: WRONG_VERSION_NUMBER] wrong version number", "this port does not speak TLS"),
        ("rediss://h", "the certificate of Redis is not trusted", "put its CA into METRICS_REDIS_TLS_CA"),
        ("redis+sentinel://h/m", "the sentinels gave no address of Redis", "at the name of their service"),
    ],
)
def test_a_redis_that_does_not_answer_gets_advice_about_the_way_to_it(url: str, reason: str, advice: str) -> None:
    """Name, port, TLS, certificate and sentinels each have their own advice."""
    assert advice in how_to_reach(Settings(redis_url=url), reason)


@pytest.mark.parametrize("host", ["loading.example.org", "oom.example.org", "busy-readonly.example.org"])
def test_a_host_with_such_a_name_gets_no_advice_for_it(host: str) -> None:
    """The name of a host in the reason is not taken for a reply."""
    reason = f"Redis: Error 111 connecting to {host}:6379. Connection refused."
    assert how_to_reach(Settings(redis_url=f"redis://{host}"), reason).startswith("start Redis there")


async def test_a_redis_that_closes_says_why() -> None:
    """The limit of clients is told, for a thread and for an event loop, though Redis closes the connection."""
    with refusing_redis("ERR max number of clients reached", closes=True) as url:
        store = RedisStore(Settings(redis_url=url))
        with pytest.raises(StoreError, match="max number of clients reached"):
            await store.ping()
        with store.sync_client() as client, pytest.raises(StoreError, match="max number of clients reached"):
            client.call(("PING",))


def test_the_limit_of_clients_of_a_real_redis(doctor: Doctor) -> None:
    """A Redis that has as many clients as it may have gets the advice."""
    with private_redis(free_port()) as url, redis.Redis.from_url(url) as client:
        client.config_set("maxclients", 1)
        report = doctor("--timeout", "5", **healthy(url))
    assert "too many clients are connected" in report.text("redis")


def test_the_page_and_the_log_have_the_words_as_one_plain_line() -> None:
    """No control character, no password and no endless text of Redis reaches the 503 or the log."""
    reply = "ERR \x1b[31mred\x07 hushhush\x9b2J \u202ebidi " + "x" * 5000
    with refusing_redis(reply) as url:
        given = {"ENABLE_METRICS": "true", "METRICS_AUTH_TOKEN": TOKEN, "REDIS_URL": url.replace("//", "//:hushhush@")}
        with host_server(given) as server:
            page = httpx.get(f"{server.url}/api/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
            httpx.get(f"{server.url}/api/content", headers={"X-Tenant": "acme"})
            assert server.stop() == 0
            log = server.output
    assert page.status_code == 503
    assert page.text.startswith("the store could not be read: Redis: [31mred *** 2J bidi xxx")
    [line] = page.text.splitlines()
    assert line.isprintable()
    assert len(line) < 400
    [told] = [line for line in log.splitlines() if "could not be flushed" in line]
    assert re.search(r"Redis: \[31mred \*\*\* 2J bidi x+…", told)
    assert all(line.isprintable() for line in log.splitlines())
    assert "hushhush" not in page.text + log


@given(st.text(), st.text(min_size=4))
def test_whatever_redis_says_becomes_one_short_line(text: str, password: str) -> None:
    """Any text is printable, of limited length, and without the password."""
    line = readable(f"{text}{password}{text}" * 3, [("AUTH", password)])
    assert line.isprintable()
    assert len(line) <= 301
    if password.isprintable() and "*" not in password and " ".join(password.split()) == password:
        assert password not in line
