"""`doctor` and the Redis in the settings: each fault of Redis has its own finding."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from lib.kairo_metrics.cli.doctor import redis_checks as server
from lib.kairo_metrics.config.settings import Settings
from lib.kairo_metrics.dev.private_redis import private_redis
from lib.kairo_metrics.errors import StoreUnavailable
from lib.kairo_metrics.store import script_call
from lib.kairo_metrics.store.admin.inspection import Refusal, ServerFacts, probe_rights
from lib.kairo_metrics.store.command_flow import CommandFlow
from tests.support.doctor_run import Doctor, filled, healthy
from tests.support.instance import Start
from tests.support.ports import free_port
from tests.support.proxy import Proxy
from tests.support.tls_front import TlsFront

# Commands that the package sends itself, and commands that the script sends.
COMMANDS = [*("evalsha", "eval", "info", "hgetall", "hscan"), *("time", "get", "set", "pexpire", "hmget", "hget")]
COMMANDS += ["hlen", "hkeys", "hdel", "hset"]


@pytest.fixture
def configured(redis_client: redis.Redis) -> Iterator[redis.Redis]:
    """Return a client whose changes of the server's memory settings are undone at the end."""
    yield redis_client
    redis_client.config_set("maxmemory", 0)
    redis_client.config_set("maxmemory-policy", "noeviction")


@pytest.fixture
def allow(redis_url: str, redis_client: redis.Redis) -> Iterator[Any]:
    """Return a function that creates a user with these rights, and returns the URL to log in with."""

    def make(*rules: str, keys: str = "*") -> str:
        _command(redis_client, "ACL", "SETUSER", "kairo", "reset", "on", ">hush", f"~{keys}", *rules)
        return redis_url.replace("//", "//kairo:hush@")

    yield make
    redis_client.acl_deluser("kairo")


def _command(client: redis.Redis, *words: str) -> None:
    client.execute_command(*words)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("//", "//:whisper@"), "leave the password out"),
        (("//", "//kairo:whisper@"), "correct the user and the password"),
        (("redis://", "rediss://"), "whether that port speaks TLS"),
        (("/0", "/99"), "database number"),
        (("127.0.0.1", "redis.invalid"), "has no address"),
    ],
)
def test_a_redis_that_refuses_says_what_to_correct(
    doctor: Doctor, redis_url: str, change: tuple[str, str], expected: str
) -> None:
    """Password, user, TLS, database and host each have their own advice."""
    report = doctor("--timeout", "1", **healthy(redis_url.replace(*change)))
    assert report.failed == {"redis"}
    assert expected in report.text("redis")
    assert "whisper" not in report.printed


def test_a_redis_that_wants_a_password_says_so(doctor: Doctor, redis_url: str, redis_client: redis.Redis) -> None:
    """A missing password and an unreachable server get different findings."""
    redis_client.config_set("requirepass", "hush")
    try:
        report = doctor(**healthy(redis_url))
    finally:
        _command(redis_client, "AUTH", "hush")
        redis_client.config_set("requirepass", "")
    assert "put the password into REDIS_URL" in report.text("redis")


def test_tls_is_checked(doctor: Doctor, redis_url: str) -> None:
    """Trusted, unchecked and untrusted certificates get different findings, and so does a client without TLS."""
    with TlsFront(redis_url) as front:
        trusted = doctor(**healthy(front.url, METRICS_REDIS_TLS_CA=front.authority))
        unchecked = doctor(**healthy(front.url, METRICS_REDIS_TLS_VERIFY="false"))
        distrusted = doctor(**healthy(front.url))
        plain = doctor("--timeout", "1", **healthy(front.url.replace("rediss", "redis")))
    assert (trusted.mark("redis"), unchecked.mark("redis")) == ("ok", "ok")
    assert trusted.text("redis").removesuffix(" -> ").endswith("over TLS")
    assert "unchecked" in unchecked.text("redis")
    assert distrusted.failed == plain.failed == {"redis"}
    assert distrusted.checks["redis"][2].startswith("put its CA into METRICS_REDIS_TLS_CA")
    assert "rediss://" in plain.text("redis")


def test_a_redis_that_is_not_there_says_so(doctor: Doctor) -> None:
    """A closed port and a silent one get different findings."""
    report = doctor(**healthy(f"redis://127.0.0.1:{free_port()}/0"))
    assert "start Redis there" in report.text("redis")


def test_a_redis_that_leaves_after_the_first_check_is_found() -> None:
    """A fault that comes between two checks is not taken for a missing server; an unknown refusal names the log."""
    for reason, advice in (
        ("the connection to Redis broke", "Redis answered a moment ago: look at its log"),
        ("Redis: LOADING Redis is loading the dataset in memory", "wait: after a start Redis loads its data"),
    ):
        facts = SimpleNamespace(**dict.fromkeys(("latency", "version", "eviction", "memory", "rights", "clock"), None))
        broken = StoreUnavailable(reason)

        def look(error: StoreUnavailable = broken) -> None:
            raise error

        for check in vars(facts):
            setattr(facts, check, look)
        found: Any = list(server._examine(facts))  # type: ignore[arg-type]
        assert {finding.mark for finding in found} == {"fail"}
        assert all(advice in finding.advice for finding in found)


def test_a_login_that_may_not_do_what_it_has_the_right_to_is_told(
    doctor: Doctor, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal in unknown words, which is not about rights, leads to the server."""

    def refuse(*_: Any) -> CommandFlow[tuple[Refusal, ...]]:
        yield ("PING",)
        return (Refusal("HSET", "unknown command 'HSET'"),)

    monkeypatch.setattr(server, "probe_rights", refuse)
    assert "the login has the right: look at the server" in doctor(**healthy(redis_url)).text("rights")


def test_a_public_redis_without_tls_is_a_warning() -> None:
    """A password that travels in clear text through public networks is told."""
    reached = server._reached(Settings(redis_url="redis://:hush@redis.example.org"))
    assert reached.mark == "warn"
    assert "use rediss://: the password and all metrics" in reached.advice


def test_a_silent_redis_ends_with_the_time_limit(doctor: Doctor, proxy: Proxy) -> None:
    """A server that accepts the connection and never replies ends at the time limit."""
    proxy.black_hole = True
    report = doctor("--timeout", "0.2", **healthy(proxy.url))
    assert report.failed == {"redis"}
    assert "firewall" in report.text("redis")


async def test_a_slow_redis_is_measured(
    start: Start, redis_url: str, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A distant Redis is a warning; one farther away than a flush may take is a failure."""
    await filled(start, redis_url)
    ticks_s = itertools.count(0.0, 0.06)  # by this clock each ping takes 60 ms
    monkeypatch.setattr(server, "time", SimpleNamespace(perf_counter=lambda: next(ticks_s), time=time.time))
    report = doctor(**healthy(redis_url))
    assert report.warned == {"latency"}
    assert report.code == 0
    assert "if that is not this one, it may be so" in report.text("latency")
    assert doctor("--strict", **healthy(redis_url)).code == 1
    report = doctor(**healthy(redis_url, METRICS_FLUSH_BUDGET_MS="20"))
    assert report.failed == {"latency"}
    assert "METRICS_FLUSH_BUDGET_MS=20" in report.text("latency")
    assert "no flush from here can succeed" in report.text("latency")


@pytest.mark.parametrize(
    ("memory", "found"),
    [
        (("noeviction", 10**9), ("ok", "")),
        (("allkeys-lru", 0), ("ok", "")),
        (("allkeys-lru", 10**9), ("warn", "or use a separate Redis for the metrics")),
        (("volatile-ttl", 10**9), ("warn", "it drops keys with a time to live first")),
    ],
)
def test_an_eviction_policy_that_drops_metrics_is_found(
    doctor: Doctor, redis_url: str, configured: redis.Redis, memory: tuple[str, int], found: tuple[str, str]
) -> None:
    """Every policy but noeviction can evict metrics, because their keys expire; without a memory limit none does."""
    (policy, limit), (mark, advice) = memory, found
    configured.config_set("maxmemory", limit)
    configured.config_set("maxmemory-policy", policy)
    report = doctor(**healthy(redis_url))
    assert report.mark("eviction") == mark
    assert advice in report.text("eviction")


def test_a_redis_that_is_nearly_full_is_found(doctor: Doctor, redis_url: str, configured: redis.Redis) -> None:
    """Little free memory is a warning; refused writes are a failure, also in the check of the rights."""
    # The memory of a connection is small beside it, for the server makes it from a short command.
    configured.setrange("ballast", 10_000_000, b"x")
    used = configured.info("memory")["used_memory"]
    configured.config_set("maxmemory", int(used * 1.1))
    assert doctor(**healthy(redis_url)).mark("memory") == "warn"
    configured.config_set("maxmemory", used // 2)
    report = doctor(**healthy(redis_url))
    assert report.mark("memory") == "fail"
    assert "give Redis more memory, or wipe what is not needed" in report.text("memory")
    assert "OOM" in report.text("rights")
    assert "the memory of Redis is full" in report.text("rights")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_right_is_named(doctor: Doctor, allow: Any, command: str) -> None:
    """A missing command is named with the advice how to allow it, also one that the script sends."""
    report = doctor(**healthy(allow("+@all", f"-{command}")))
    assert report.mark("rights") == "fail"
    assert f"not allowed: {command.upper()}." in report.text("rights")
    assert report.checks["rights"][2] == f"allow them: ACL SETUSER kairo +{command}"


def test_a_user_who_may_only_read_gets_all_missing_rights_at_once(doctor: Doctor, allow: Any) -> None:
    """One run names all missing rights."""
    report = doctor(**healthy(allow("+@read", "+@connection", "+eval", "+evalsha", "+time", "+info")))
    assert report.checks["rights"][2] == "allow them: ACL SETUSER kairo +set +pexpire +hdel +hset"


def test_a_user_of_other_keys_gets_the_keys_to_allow(doctor: Doctor, allow: Any) -> None:
    """If the commands are allowed and the keys are not, the keys are named."""
    report = doctor(**healthy(allow("+@all", keys="other:*"), METRICS_NAMESPACE="blue"))
    assert report.mark("rights") == "fail"
    assert report.checks["rights"][2] == "let the user reach the keys: ACL SETUSER kairo ~kairo:v1:{blue/*"


@pytest.mark.parametrize(
    ("reply", "advice"),
    [
        ("User kairo has no permissions to run the 'hkeys' command", "allow them: ACL SETUSER kairo +hkeys"),
        ("User kairo has no permissions to access the 'kairo:v1:{a/0}:families' key", "let the user reach the keys"),
        ("this user has no permissions to access one of the keys used as arguments", "let the user reach the keys"),
    ],
)
def test_every_server_s_words_for_a_missing_right_are_understood(reply: str, advice: str) -> None:
    """The different errors of Redis 6, Redis 8 and Valkey are understood, also for a command with `key` in its name."""
    refusal = Refusal("HKEYS", reply)
    assert refusal.of_permission
    assert server._how_to_allow(Settings(redis_url="redis://kairo:hush@127.0.0.1"), [refusal]).startswith(advice)


@pytest.mark.parametrize("mode", [b"redis_mode:cluster", b"server_mode:cluster"])
def test_a_cluster_is_known_by_any_server_s_word_for_it(mode: bytes) -> None:
    """In a cluster of Valkey too, doctor checks the rights that a cluster needs."""
    probing = probe_rights("production", [0])
    assert next(probing) == ("INFO", "server")
    assert probing.send(mode + b"\r\n") == ("ASKING",)


def test_the_rights_that_the_advice_gives_are_enough(doctor: Doctor, allow: Any, redis_client: redis.Redis) -> None:
    """With exactly the checked commands, and the keys of the namespace, every check passes."""
    url = allow(*(f"+{command}" for command in ("ping", *COMMANDS)), keys="kairo:v1:{blue/*")
    report = doctor(**healthy(url, METRICS_NAMESPACE="blue"))
    assert report.failed == set()
    assert redis_client.keys("*") == []


def test_a_replica_is_told_from_a_missing_right(doctor: Doctor, redis_url: str, redis_client: redis.Redis) -> None:
    """A read-only server and a user without rights get different findings."""
    with private_redis(free_port()) as master_url, redis.Redis.from_url(master_url) as master:
        address = master.get_connection_kwargs()
        redis_client.replicaof(address["host"], address["port"])
        try:
            report = doctor(**healthy(redis_url))
        finally:
            redis_client.replicaof("NO", "ONE")
    assert report.mark("rights") == "fail"
    assert "READONLY" in report.text("rights")
    assert "let REDIS_URL name the master" in report.text("rights")
    assert "ACL" not in report.text("rights")


def test_the_probe_asks_for_what_the_script_uses() -> None:
    """The probe checks every command that the script uses."""
    assert _commands_of("probe.lua") == _commands_of("apply.lua")


def _commands_of(name: str) -> set[str]:
    text = script_call.script_text(name).decode()
    return {name.lower() for name in re.findall(r"(?:call\(|^  \{ )'([A-Z]+)'", text, re.MULTILINE)}


@pytest.mark.parametrize(
    ("version", "mark"), [("4.0.14", "fail"), ("5.0.3", "warn"), ("6.2.0", "ok"), ("8.0.1", "ok"), (None, "skipped")]
)
def test_a_redis_too_old_is_found(
    doctor: Doctor, redis_url: str, monkeypatch: pytest.MonkeyPatch, version: str | None, mark: str
) -> None:
    """A version that can't run the script is a failure, an untested one a warning, an unknown one neither."""

    def facts() -> CommandFlow[ServerFacts]:
        yield ("PING",)
        return ServerFacts(version)

    monkeypatch.setattr(server, "read_facts", facts)
    report = doctor(**healthy(redis_url))
    assert report.mark("version") == mark
    assert (mark in {"fail", "warn"}) == ("use Redis 6.2 or newer, or Valkey" in report.text("version"))
    assert report.mark("memory") == report.mark("eviction") == "skipped"


def test_a_server_that_refuses_info_is_no_failed_version(doctor: Doctor, allow: Any) -> None:
    """Some hosted servers refuse INFO, which is not a failure."""
    report = doctor(**healthy(allow("+@all", "-info")))
    assert report.mark("version") == report.mark("eviction") == report.mark("memory") == "skipped"
    assert "ask your provider" in report.text("eviction")


@pytest.mark.parametrize(("ahead_s", "expected"), [(-60, "ahead of"), (60, "behind")])
def test_a_wrong_clock_is_found(
    doctor: Doctor, redis_url: str, monkeypatch: pytest.MonkeyPatch, ahead_s: int, expected: str
) -> None:
    """A clock that is a minute off is reported with its direction."""
    clock = SimpleNamespace(time=lambda: time.time() + ahead_s, perf_counter=time.perf_counter)
    monkeypatch.setattr(server, "time", clock)
    report = doctor(**healthy(redis_url))
    assert report.mark("clock") == "warn"
    assert f"{expected} this machine" in report.text("clock")
    assert "set both by NTP" in report.text("clock")
