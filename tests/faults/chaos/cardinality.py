"""A flood of label values: `python -m tests.faults.chaos.cardinality` sends a million through 16 instances.

It reports whether the cap and the totals are exact, earlier series go on counting, and memory stays flat:
that of Redis, and that of the instances.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import randrange
from tempfile import TemporaryFile
from typing import Any

import redis
from rich.progress import Progress

from lib.kairo_metrics.dev.private_redis import private_redis
from lib.kairo_metrics.model.labels import labels_of
from lib.kairo_metrics.store.redis_store import RedisStore
from tests.faults.chaos.flooding import STEADY
from tests.support.instance import samples, settings
from tests.support.ports import free_port

__all__ = ["Findings", "flood"]

WRITERS = 16
_FAMILIES = {"flood_jobs": "flood_jobs_total", "flood_wait": "flood_wait_sum", "flood_open": "flood_open"}
# Allowed growth: the overflow line's numbers get longer, and a process gets its memory in whole pages.
_REDIS_GROWTH_BYTES = 512
_INSTANCE_GROWTH_KB = 10 * 1024
_TAKEN_FOR_FULL = 0.3


@dataclass(slots=True)
class Findings:
    """The result of a flood.

    Args:
        max_series: the cap.
        sent: what the instances recorded: `flood`, each steady client, `updates`, `served`.
        page: the samples at the end.
        full_bytes: the memory of each key in Redis when the families were full.
        end_bytes: the same at the end.
        children: the largest number of children that an instance kept of an instrument.
        grown_kb: the largest growth of an instance's memory after it was full.
        logged: how often each line was logged by all instances.
    """

    max_series: int
    sent: Counter[str] = field(default_factory=Counter)
    page: dict[str, float] = field(default_factory=dict)
    full_bytes: dict[str, int] = field(default_factory=dict)
    end_bytes: dict[str, int] = field(default_factory=dict)
    children: int = 0
    grown_kb: int = 0
    logged: Counter[str] = field(default_factory=Counter)

    def faults(self) -> list[str]:
        """Return the failures."""
        found = []
        for family, sample in _FAMILIES.items():
            series = {
                labels_of(name.partition("{")[2][:-1])["client"]: value
                for name, value in self.page.items()
                if name.partition("{")[0] == sample
            }
            others = len(series) - ("__overflow__" in series)
            if others != self.max_series or len(series) == others:
                found.append(f"{family} has {others} series, expected {self.max_series}")
            if sum(series.values()) != self.sent["flood"] + sum(self.sent[name] for name in STEADY):
                found.append(f"{family} adds up to {sum(series.values())}")
            if any(series[name] != self.sent[name] for name in STEADY):
                found.append(f"{family}: the earlier series are {[series[name] for name in STEADY]}")
            # Each client sends one request, so each label set that fits is one update, and all others overflow.
            overflowed = self.page[f'kairo_samples_overflowed_total{{family="{family}"}}']
            if overflowed != self.sent["updates"] - (self.max_series - len(STEADY)):
                found.append(f"{family} overflowed {overflowed} times")
        logged_once = all(count == WRITERS for count in self.logged.values())
        if len(self.logged) != len(_FAMILIES) or not logged_once:
            found.append(f"the instances have logged {self.logged}")
        grown = {key: size - self.full_bytes[key] for key, size in self.end_bytes.items()}
        found += [f"{key} has grown by {size} bytes" for key, size in grown.items() if size > _REDIS_GROWTH_BYTES]
        if self.children > self.max_series + 1:
            found.append(f"an instance keeps {self.children} children")
        if self.grown_kb > _INSTANCE_GROWTH_KB:
            found.append(f"an instance has grown by {self.grown_kb} kB")
        return found

    def facts(self) -> list[str]:
        """Return what was measured and counted."""
        return [
            f"cap {self.max_series:,}, label values {self.sent['updates']:,}, at most {self.children:,} children",
            f"Redis: {sum(self.full_bytes.values()):,} bytes when full, {sum(self.end_bytes.values()):,} at the end",
            f"largest growth of an instance after it was full: {self.grown_kb:,} kB",
        ]

    def report(self, seed: int) -> str:
        """Return the report."""
        verdict = "everything is bounded and exact" if not self.faults() else "FAILED"
        title = f"Flood of {self.sent['served']:,} requests with seed {seed}: {verdict}"
        return "\n".join([title, "", *self.facts(), *(f"FAILED  {fault}" for fault in self.faults()), ""])


def flood(
    url: str,
    attempts: int,
    seed: int,
    max_series: int,
    tick: Callable[[int], None] = lambda _served: None,
) -> Findings:
    """Flood instances, and return the result.

    Args:
        url: an empty Redis.
        attempts: the number of requests of all clients.
        seed: the seed of the requests.
        max_series: the cap.
        tick: called now and then with the number of served requests.
    """
    findings = Findings(max_series)
    environment = {
        **os.environ,
        "ENABLE_METRICS": "true",
        "REDIS_URL": url,
        "METRICS_NAMESPACE": "development",
        "METRICS_MAX_SERIES": str(max_series),
        "METRICS_FLUSH_BUDGET_MS": "10000",
    }
    command = [sys.executable, "-m", "tests.faults.chaos.flooding", str(WRITERS), str(attempts // WRITERS), str(seed)]
    served = 0
    with (
        redis.Redis.from_url(url) as client,
        TemporaryFile("w+") as log,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True) as program,
    ):
        assert program.stdout is not None
        for line in program.stdout:
            message = json.loads(line)
            if "ended" in message:
                _add_instance(findings, message["ended"])
                continue
            served += message["served"]
            tick(served)
            if served > _TAKEN_FOR_FULL * attempts and not findings.full_bytes:
                findings.full_bytes = _sizes(client)
        program.wait()
        log.seek(0)
        lines = log.read().splitlines()
        assert program.returncode == 0, "\n".join(lines)
        findings.logged.update(line for line in lines if "label sets" in line)
        findings.end_bytes = _sizes(client)
    findings.sent.update(dict.fromkeys(STEADY, 1))
    findings.page = asyncio.run(_page(url))
    return findings


def _add_instance(findings: Findings, ended: dict[str, Any]) -> None:
    findings.sent.update(ended["sent"])
    findings.children = max(findings.children, ended["children"])
    findings.grown_kb = max(findings.grown_kb, ended["end_kb"] - ended["full_kb"])


def _sizes(client: Any) -> dict[str, int]:
    """Return the memory of each key of the flooded families in bytes."""
    keys = [key.decode() for key in client.scan_iter("*:series:flood_*")]
    return {key: client.memory_usage(key, samples=0) for key in keys}


async def _page(url: str) -> dict[str, float]:
    store = RedisStore(settings(url))
    try:
        return await samples(store, "")
    finally:
        await store.aclose()


def main() -> int:
    """Run a flood, and print the report; return 1 if something failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos.cardinality", description=__doc__)
    parser.add_argument("--attempts", type=int, default=1_000_000, help="number of requests of all clients")
    parser.add_argument("--max-series", type=int, default=1_000, help="the cap")
    parser.add_argument("--seed", type=int, default=randrange(1_000_000), help="seed of the requests")
    parser.add_argument("--report", type=Path, help="also write the report to this file")
    asked = parser.parse_args()
    sys.stdout.write(f"seed {asked.seed}\n")
    with Progress() as progress, private_redis(free_port()) as url:
        task = progress.add_task("flood", total=asked.attempts)
        findings = flood(
            url,
            asked.attempts,
            asked.seed,
            asked.max_series,
            tick=lambda served: progress.update(task, completed=served),
        )
    page = findings.report(asked.seed)
    if asked.report:
        asked.report.parent.mkdir(parents=True, exist_ok=True)
        asked.report.write_text(page)
    sys.stdout.write(page)
    return 1 if findings.faults() else 0


if __name__ == "__main__":
    sys.exit(main())
