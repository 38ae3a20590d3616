"""Other coroutines go on while a flush waits: proved by the order of events, and not by time."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from lib.kairo_metrics.errors import StoreUnavailable
from lib.kairo_metrics.store.redis_store import RedisStore
from tests.support.instance import Start, jobs_total, settings
from tests.support.proxy import Proxy

TURNS = 100
# If a flush blocked the loop, it would wait this long for the other coroutines, and the test would fail.
PATIENCE_S = 20.0


class Gate:
    """Blocks a function until the other coroutines have run."""

    def __init__(self) -> None:
        self.has_blocked = False
        self._opened = threading.Event()

    async def others(self) -> int:
        """Run for some turns of the event loop, and open the gate."""
        for _ in range(TURNS):
            await asyncio.sleep(0)
        self._opened.set()
        return TURNS

    def before(self, then: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that waits at the gate, and then calls the other one."""

        def wait(*arguments: Any, **named: Any) -> Any:
            self.has_blocked = not self._opened.wait(PATIENCE_S)
            return then(*arguments, **named)

        return wait


IMPORTING = """
import asyncio, importlib.abc, sys, threading
from lib.kairo_metrics import Settings
from tests.support.instance import redis_instance

may_go_on = threading.Event()

class Slow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "redis":
            print("in time" if may_go_on.wait(20) else "held up", flush=True)

sys.meta_path.insert(0, Slow())

async def others():
    for _ in range(100):
        await asyncio.sleep(0)
    may_go_on.set()

async def main():
    instance = redis_instance(sys.argv[1])
    for _ in range(3):
        instance.add('queue="a"')
    requests = [instance.flusher.after_response() for _ in range(3)]
    await asyncio.gather(others(), *requests)
    assert not instance.flusher.pending
    await instance.close()

assert "redis" not in sys.modules
asyncio.run(main())
"""


def test_the_first_flush_imports_redis_beside_the_event_loop(redis_url: str) -> None:
    """An instance's first flush imports a large library; requests that it serves meanwhile do not wait for it."""
    ran = subprocess.run(
        [sys.executable, "-c", IMPORTING, redis_url], env=os.environ, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split("\n") == ["in time", ""]


async def test_a_request_that_leaves_while_redis_is_imported_is_delivered(
    start: Start, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first request that is cancelled during the import is still flushed, and ends as cancelled."""
    instance = start(redis_url)
    gate = Gate()
    monkeypatch.setattr(instance.store, "load", gate.before(instance.store.load))
    instance.add('queue="a"')
    request = asyncio.create_task(instance.flusher.after_response())
    await asyncio.sleep(0)
    request.cancel()
    await gate.others()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert not gate.has_blocked
    assert not instance.flusher.pending
    assert await jobs_total(instance) == 1


async def test_a_slow_name_server_blocks_no_other_coroutine(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of Redis is looked up outside the event loop."""
    instance = start("redis://redis.example.org:6379/0", flush_budget_ms=60_000)
    gate = Gate()

    def fail(*_arguments: Any, **_named: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", gate.before(fail))
    instance.add('queue="a"')
    turns, failed = await asyncio.gather(gate.others(), instance.flusher.aflush(), return_exceptions=True)
    assert turns == TURNS
    assert not gate.has_blocked
    assert isinstance(failed, StoreUnavailable)


async def test_certificates_are_read_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """With TLS only the flush waits while the trusted certificates are read from disk."""
    from redis.asyncio.connection import RedisSSLContext

    store = RedisStore(settings("rediss://127.0.0.1:1/0"))
    gate = Gate()
    monkeypatch.setattr(RedisSSLContext, "get", gate.before(RedisSSLContext.get))

    async def borrow() -> None:
        async with store.client():
            pass

    await asyncio.gather(gate.others(), borrow())
    assert not gate.has_blocked


async def test_an_unanswered_handshake_blocks_no_other_coroutine(start: Start) -> None:
    """If a server accepts a connection and then sends nothing, only the flush waits."""
    gate = Gate()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        got_hello = threading.Event()

        def accept() -> None:
            client, _ = listener.accept()
            client.recv(1)
            got_hello.set()
            with client, suppress(OSError):
                gate.before(client.close)()

        silent = threading.Thread(target=accept)
        silent.start()
        instance = start(f"rediss://127.0.0.1:{listener.getsockname()[1]}/0", flush_budget_ms=60_000)
        instance.add('queue="a"')

        async def others_after_the_hello() -> int:
            await asyncio.to_thread(got_hello.wait)
            return await gate.others()

        turns, failed = await asyncio.gather(
            others_after_the_hello(), instance.flusher.aflush(), return_exceptions=True
        )
        silent.join()
    assert turns == TURNS
    assert not gate.has_blocked
    assert isinstance(failed, StoreUnavailable)


@pytest.mark.parametrize("outage", ["black hole", "deaf"])
async def test_an_outage_blocks_no_other_coroutine(start: Start, proxy: Proxy, outage: str) -> None:
    """While a flush waits for a Redis that does not answer, or for a connection to it, all other coroutines go on."""
    instance = start(proxy.url, flush_budget_ms=60_000)
    instance.add('queue="a"')
    await instance.flusher.aflush()
    if outage == "deaf":
        proxy.deafen()
        proxy.cut()
    else:
        proxy.black_hole = True
    instance.add('queue="a"')
    flush = asyncio.create_task(instance.flusher.aflush())
    await Gate().others()
    assert not flush.done()
    proxy.black_hole = False
    proxy.cut()
    proxy.listen()
    with suppress(StoreUnavailable):
        await flush
    await instance.flusher.aflush()
    assert await jobs_total(instance) == 2


# In its own process: the garbage collector warns about an event loop that is left behind.
LEFT_BEHIND = """
import asyncio, sys
from lib.kairo_metrics.delivery.flusher import Flusher
from lib.kairo_metrics.instruments.recorder import Recorder
from lib.kairo_metrics.model.batch import WRITER_LEASE_S
from lib.kairo_metrics.store.redis_store import RedisStore
from tests.support.instance import Instance, settings

now_s = [1_000.0]
clocks = (lambda: now_s[0],) * 2
chosen, recorder = settings(sys.argv[1]), Recorder(clocks)
store = RedisStore(chosen)
instance = Instance(store, recorder, Flusher(recorder, store, chosen))

async def invoke(amount, patience_s=None):
    instance.add('queue="a"', amount)
    await asyncio.wait({asyncio.ensure_future(instance.flusher.aflush())}, timeout=patience_s)

loops = [asyncio.new_event_loop() for _ in range(3)]
loops[0].run_until_complete(invoke(1))
print("warm", flush=True)
sys.stdin.readline()
loops[1].run_until_complete(invoke(10, patience_s=0.5))
now_s[0] += WRITER_LEASE_S / 2
loops[2].run_until_complete(invoke(100))
assert not instance.flusher.pending
"""


async def test_a_batch_whose_event_loop_never_ran_again_counts_once(start: Start, redis_url: str, proxy: Proxy) -> None:
    """A flush that is left behind in a stopped event loop is not sent again under another id half a lease later."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LEFT_BEHIND, proxy.url, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout
    await child.stdout.readline()
    proxy.lose_reply(to=b"EVALSHA")  # the server applies it, and the instance never learns that
    await child.communicate(b"go\n")
    assert child.returncode == 0
    assert await jobs_total(start(redis_url)) == 111
