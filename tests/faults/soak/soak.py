"""A soak: writers and scrapes during random faults, and the sums at the end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from lib.kairo_metrics.errors import StoreError
from lib.kairo_metrics.store.redis_store import RedisStore
from tests.support.instance import samples, settings
from tests.support.proxy import Proxy
from tests.support.redis_process import RedisProcess

__all__ = ["Books", "soak"]

_WRITERS = 3
_LAST_DELIVERY_S = 120.0
_APPLIED = {
    "soak_pieces": "soak_pieces_total",
    "piece_size": "piece_size_count",
    "exact_size": "exact_size_count",
    "open_pieces": "open_pieces",
    "http_requests": "http_requests_total",
}
_GROWING = ("_total", "_bucket", "_count")


@dataclass(slots=True)
class Books:
    """The result of a soak.

    Args:
        sent: what the writers report as recorded, by family.
        applied: what the page shows, by family.
        lost: what the page counts as lost, by family.
        faults: how often each fault happened.
        scrapes: the number of pages read.
        dips: counters that went down though the state had not gone back.
    """

    sent: Counter[str] = field(default_factory=Counter)
    applied: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    scrapes: int = 0
    dips: list[str] = field(default_factory=list)

    @property
    def is_exact(self) -> bool:
        return bool(self.sent) and not self.dips and all(self.differences()[family] == 0 for family in _APPLIED)

    def differences(self) -> dict[str, int]:
        """Return applied plus lost minus sent, by family."""
        return {family: self.applied[family] + self.lost[family] - self.sent[family] for family in _APPLIED}

    def page(self, seed: int, seconds: float) -> str:
        """Return the report."""
        lines = [
            f"Soak of {seconds:.0f} s with seed {seed}: {'all sums are exact' if self.is_exact else 'FAILED'}",
            "",
        ]
        lines += [f"{'family':<16}{'sent':>12}{'applied':>12}{'lost':>10}{'difference':>12}"]
        for family, difference in self.differences().items():
            numbers = f"{self.sent[family]:>12,}{self.applied[family]:>12,}{self.lost[family]:>10,}{difference:>12,}"
            lines.append(f"{family:<16}{numbers}")
        lines += ["", f"{self.scrapes} scrapes; faults: " + ", ".join(f"{n} {what}" for what, n in self.faults.items())]
        return "\n".join([*lines, *(f"FAILED  {dip}" for dip in self.dips), ""])


def soak(seconds: float, seed: int, tick: Callable[[float], None] = lambda _passed: None) -> Books:
    """Let writers write during faults, and return the result.

    Args:
        seconds: the duration of the faults.
        seed: sets the faults; the timing of processes stays random.
        tick: called with the seconds that have passed.
    """
    with TemporaryDirectory(prefix="kairo-soak-") as folder:
        server = RedisProcess(Path(folder))
        try:
            with Proxy(server.url) as proxy:
                return _Soak(server, proxy, Random(seed)).run(seconds, tick)
        finally:
            server.close()


class _Soak:
    def __init__(self, server: RedisProcess, proxy: Proxy, chance: Random) -> None:
        self._server = server
        self._proxy = proxy
        self._chance = chance
        self._books = Books()
        self._before: dict[str, float] = {}
        self._went_back = False
        self._writers: list[subprocess.Popen[bytes]] = []

    def run(self, seconds: float, tick: Callable[[float], None]) -> Books:
        environment = {
            **os.environ,
            "ENABLE_METRICS": "true",
            "REDIS_URL": self._proxy.url,
            "METRICS_NAMESPACE": "development",
            "METRICS_FLUSH_BUDGET_MS": "500",
        }
        command = [sys.executable, "-m", "tests.faults.soak.writer"]
        self._writers = [
            subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for _ in range(_WRITERS)
        ]
        try:
            self._wait_for_all_writers()
            began_s = time.monotonic()
            while (passed_s := time.monotonic() - began_s) < seconds:
                tick(passed_s)
                self._do_something()
                time.sleep(self._chance.uniform(0.02, 0.3))
                self._scrape()
            self._end()
        finally:
            for writer in self._writers:
                writer.kill()
                writer.communicate()
        return self._books

    def _wait_for_all_writers(self) -> None:
        deadline_s = time.monotonic() + _LAST_DELIVERY_S
        while len(self._server.client.keys("*:writer:*")) < _WRITERS:
            assert time.monotonic() < deadline_s, "the writers do not start"
            time.sleep(0.05)

    # Faults.

    def _do_something(self) -> None:
        faults: dict[Callable[[], None], int] = {
            self._reply_lost: 20,
            self._connections_cut: 10,
            self._slow: 6,
            self._black_hole: 3,
            self._refusing: 3,
            self._script_flush: 6,
            self._writer_frozen: 4,
            self._restart: 3,
            self._rollback: 3,
        }
        [fault] = self._chance.choices(list(faults), list(faults.values()))
        self._books.faults[fault.__name__.lstrip("_").replace("_", " ")] += 1
        fault()

    def _reply_lost(self) -> None:
        self._proxy.lose_reply(to=b"EVAL", then_cut=self._chance.random() < 0.5)

    def _connections_cut(self) -> None:
        self._proxy.cut()

    def _slow(self) -> None:
        self._proxy.request_delay_ms = self._chance.choice((20, 300, 700))
        time.sleep(0.5)
        self._proxy.request_delay_ms = 0

    def _black_hole(self) -> None:
        self._proxy.black_hole = True
        time.sleep(self._chance.uniform(0.1, 1.5))
        self._proxy.black_hole = False
        self._proxy.cut()

    def _refusing(self) -> None:
        self._proxy.refuse()
        self._proxy.cut()
        time.sleep(self._chance.uniform(0.1, 1.0))
        self._proxy.listen()

    def _script_flush(self) -> None:
        self._server.client.script_flush()

    def _writer_frozen(self) -> None:
        writer = self._chance.choice(self._writers)
        writer.send_signal(signal.SIGSTOP)
        time.sleep(self._chance.uniform(0.1, 1.0))
        writer.send_signal(signal.SIGCONT)

    def _restart(self) -> None:
        self._server.restart()

    def _rollback(self) -> None:
        """Kill the server, and start it with a snapshot that is some batches behind."""
        self._server.save()
        time.sleep(self._chance.uniform(0.0, 2.0))  # with a long pause, more batches behind than a writer keeps
        self._server.kill_and_start()
        self._went_back = True

    # Scrapes, and the end.

    def _scrape(self) -> None:
        page = asyncio.run(_page(self._server.url))
        self._books.scrapes += 1
        counters = {name: value for name, value in page.items() if name.partition("{")[0].endswith(_GROWING)}
        if not self._went_back:
            self._books.dips += [
                f"{name} went from {value} to {counters.get(name)}"
                for name, value in self._before.items()
                if counters.get(name, -1.0) < value
            ]
        self._before, self._went_back = counters, False

    def _end(self) -> None:
        """Let all writers deliver what is pending, and read the sums."""
        for writer in self._writers:
            assert writer.stdin is not None
            writer.stdin.close()
            writer.stdin = None
        for writer in self._writers:
            printed, _ = writer.communicate(timeout=_LAST_DELIVERY_S)
            self._books.sent.update(json.loads(printed))
        page = asyncio.run(_page(self._server.url))
        for family, name in _APPLIED.items():
            self._books.applied[family] = int(
                sum(value for sample, value in page.items() if sample.partition("{")[0] == name)
            )
            self._books.lost[family] = int(page.get(f'kairo_samples_lost_total{{family="{family}"}}', 0.0))


async def _page(url: str) -> dict[str, float]:
    store = RedisStore(settings(url))
    try:
        return await samples(store, "")
    except StoreError as err:
        raise AssertionError(f"the page could not be read: {err}") from err
    finally:
        await store.aclose()
