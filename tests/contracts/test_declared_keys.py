"""Scripts use the keys that they were given and no others, as Redis Cluster and Upstash require."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha1
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from lib.kairo_metrics.errors import StoreRefused, UnknownScript
from lib.kairo_metrics.model.batch import Batch, Verdict, Writer
from lib.kairo_metrics.model.moment import Moment
from lib.kairo_metrics.model.snapshot import IndexEntry
from lib.kairo_metrics.store.admin.inspection import probe_rights
from lib.kairo_metrics.store.apply_batch import apply_batch
from lib.kairo_metrics.store.command_flow import Command, CommandFlow, run_flow
from lib.kairo_metrics.store.redis_store import RedisStore
from lib.kairo_metrics.store.script_call import supports_key_locking
from lib.kairo_metrics.store.tidy import tidy
from tests.support.examples import examples
from tests.support.instance import JOBS, settings
from tests.support.random_batches import DOINGS, Doing
from tests.support.store_pair import StorePair

USER = "declared"


class Declared:
    """A store whose user may use, during each script, exactly the keys that the script was given.

    Args:
        store: the real one; its batches are sent through another connection.
        redis_url: the address of the same server.
    """

    def __init__(self, store: RedisStore, redis_url: str) -> None:
        self._store = store
        self._admin: Any = redis.Redis.from_url(redis_url)
        self._admin.acl_log_reset()
        self._admin.execute_command("ACL", "SETUSER", USER, "reset", "on", "nopass", "+@all")  # type: ignore[no-untyped-call]
        self._limited = RedisStore(settings(redis_url.replace("//", f"//{USER}:any@")))
        self.scripts = 0

    def apply(self, writer: Writer, batch: Batch) -> CommandFlow[Verdict]:
        return self._store.apply(writer, batch)

    def tidy(self, entry: IndexEntry, texts: list[bytes]) -> CommandFlow[None]:
        return self._store.tidy(entry, texts)

    @contextmanager
    def sync_client(self) -> Iterator[Declared]:
        yield self

    def call(self, *commands: Command) -> list[Any]:
        """Allow the declared keys, and pass the command on."""
        replies = []
        for command in commands:
            keys = []
            if command[0] in {"EVAL", "EVALSHA"}:
                keys = [str(key) for key in command[3 : 3 + int(command[2])]]
                assert len({key.partition("}")[0] for key in keys}) == 1, "one hash tag, so one slot of a cluster"
                self.scripts += 1
            patterns = ["~" + re.sub(r"([*?\[\]\\^])", r"\\\1", key) for key in keys]
            self._admin.execute_command("ACL", "SETUSER", USER, "resetkeys", *patterns)
            with self._limited.sync_client() as client:
                replies += client.call(command)
        return replies

    def refusals(self) -> list[Any]:
        """Return what the server has refused, even if the script went on afterwards."""
        return list(self._admin.acl_log())

    async def aclose(self) -> None:
        await self._store.aclose()
        await self._limited.aclose()
        self._admin.acl_log_reset()
        self._admin.acl_deluser(USER)
        self._admin.close()


@contextmanager
def declared_pair(redis_url: str) -> Iterator[tuple[StorePair, Declared]]:
    """Give both stores, the real one behind a user that may use declared keys only."""
    pair = StorePair(redis_url)
    store = Declared(pair.real, redis_url)
    pair.real = store  # type: ignore[assignment]
    try:
        yield pair, store
    finally:
        pair.close()


@given(doings=DOINGS)
@hypothesis_settings(max_examples=examples(20), deadline=None, suppress_health_check=list(HealthCheck))
def test_scripts_use_declared_keys_only(redis_server: str, doings: list[Doing]) -> None:
    """Batches and removals of all kinds of metrics need no rights but those to the keys of their call."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    with declared_pair(redis_server) as (pair, store):
        for doing in doings:
            pair.do(doing)
        assert store.refusals() == []


def test_an_undeclared_key_is_found(redis_url: str) -> None:
    """The test above can fail: a key that a script makes up is refused, and found even if the script hides it."""
    with declared_pair(redis_url) as (_, store):
        hidden = "return redis.pcall('GET', KEYS[1] .. 'x').err and 'went on'"
        assert store.call(("EVAL", hidden, 1, "{a}key")) == [b"went on"]
        assert store.scripts == 1
        assert len(store.refusals()) == 1


def test_the_doctor_s_script_uses_its_key_only(redis_url: str) -> None:
    """The check of rights needs no rights to other keys, and finds nothing missing for declared ones."""
    with declared_pair(redis_url) as (_, store):
        [direct] = {refusal.command for refusal in run_flow(probe_rights("development", [0]), store)} - {"HSCAN"}
        assert direct == "HGETALL"  # not in a script, so no key is allowed here
        assert {entry["context"] for entry in store.refusals()} == {"toplevel"}


def sources(url: str) -> Iterator[bytes]:
    """Yield the texts of the scripts for that address, after checking that EVALSHA names their digests."""
    chosen = settings(url)
    writing = apply_batch(chosen, Writer("w", 0), Batch(1, (), Moment.read()))
    for steps in (writing, tidy(chosen, IndexEntry(0, JOBS, 0), [])):
        _, digest, *_ = next(steps)
        name, source, *_ = steps.throw(UnknownScript("NOSCRIPT"))
        assert name == "EVAL"
        assert isinstance(source, bytes)
        assert sha1(source).hexdigest() == digest
        yield source


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:6379",
        "rediss://default:p@redis-1.c1.us-east-1-1.ec2.cloud.redislabs.com:6379",
        "rediss://default:p@upstash.io.example.org:6379",
        "rediss://default:p@notupstash.io:6379",
        "rediss://default:a.upstash.io@example.org:6379",
        "unix:///run/eu1.upstash.io",
    ],
)
def test_only_upstash_is_asked_to_lock_a_script_s_keys(url: str) -> None:
    """On Upstash a batch blocks no other command; other servers get the script without a line they cannot parse."""
    assert not supports_key_locking(url)
    plain = list(sources(url))
    assert all(not source.startswith(b"#") for source in plain)
    upstash = "rediss://default:p@eu1-calm-owl-12345.upstash.io:6379"
    assert supports_key_locking(upstash)
    first, rest = zip(*[source.split(b"\n", 1) for source in sources(upstash)], strict=True)
    assert set(first) == {b"#!lua flags=allow-key-locking"}
    assert list(rest) == plain


def test_redis_refuses_that_line(redis_url: str) -> None:
    """The line is not sent to all servers, because Redis 6 cannot parse it and Redis 7 does not know the flag."""
    source, _ = sources("rediss://default:p@eu1-calm-owl-12345.upstash.io:6379")
    with RedisStore(settings(redis_url)).sync_client() as client:
        [reply] = client.call(("EVAL", source, 0))
    assert isinstance(reply, StoreRefused)
    assert "shebang" in str(reply) or "compiling script" in str(reply)
