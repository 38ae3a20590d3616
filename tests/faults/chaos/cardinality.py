"""A flood of label values: `python -m tests.faults.chaos.cardinality` sends a million through 16 instances at once.

It says whether the cap is exact, the totals are, what was there before goes on undisturbed, and memory stays flat:
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

from lib.kairo_metrics.dev.private_redis import free_port, private_redis
from lib.kairo_metrics.model.labels import labels_of
from lib.kairo_metrics.store.redis_store import RedisStore
from tests.faults.chaos.flooding import STEADY
from tests.support.instance import samples, settings

__all__ = ["Findings", "flood"]

WRITERS = 16
_FAMILIES = {"flood_jobs": "flood_jobs_total", "flood_wait": "flood_wait_sum", "flood_open": "flood_open"}
# The overflow line's numbers get longer, and a process's memory is given out by the page.
_REDIS_GROWTH_BYTES = 512
_INSTANCE_GROWTH_KB = 10 * 1024
_TAKEN_FOR_FULL = 0.3


@dataclass(slots=True)
class Findings:
    """What came of a flood.

    Args:
        max_series: the cap.
        sent: what the instances say that they have recorded: `flood`, each steady client, `updates`, `served`.
        page: the samples in the end.
        full_bytes: by key, what Redis held it in when the families were full.
        end_bytes: the same in the end.
        children: the most that an instance kept of an instrument.
        grown_kb: the most that an instance grew from being full to its end.
        logged: how often each line was logged, by all instances together.
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
        """Name what is not as it should be."""
        found = []
        for family, sample in _FAMILIES.items():
            series = {
                labels_of(name.partition("{")[2][:-1])["client"]: value
                for name, value in self.page.items()
                if name.partition("{")[0] == sample
            }
            others = len(series) - ("__overflow__" in series)
            if others != self.max_series or len(series) == others:
                found.append(f"{family} has {others} series and not {self.max_series}")
            if sum(series.values()) != self.sent["flood"] + sum(self.sent[name] for name in STEADY):
                found.append(f"{family} adds up to {sum(series.values())}")
            if any(series[name] != self.sent[name] for name in STEADY):
                found.append(f"{family}: {[series[name] for name in STEADY]} were there before")
            # Each client asked once, so each that found room is one update, and all others overflowed.
            told = self.page[f'kairo_samples_overflowed_total{{family="{family}"}}']
            if told != self.sent["updates"] - (self.max_series - len(STEADY)):
                found.append(f"{family} overflowed {told} times")
        told_once = all(count == WRITERS for count in self.logged.values())
        if len(self.logged) != len(_FAMILIES) or not told_once:
            found.append(f"the instances have logged {self.logged}")
        grown = {key: size - self.full_bytes[key] for key, size in self.end_bytes.items()}
        found += [f"{key} has grown by {size} bytes" for key, size in grown.items() if size > _REDIS_GROWTH_BYTES]
        if self.children > self.max_series + 1:
            found.append(f"an instance keeps {self.children} children")
        if self.grown_kb > _INSTANCE_GROWTH_KB:
            found.append(f"an instance has grown by {self.grown_kb} kB")
        return found

    def facts(self) -> list[str]:
        """Say what was measured and counted."""
        return [
            f"cap {self.max_series:,}, label values {self.sent['updates']:,}, children at most {self.children:,}",
            f"Redis: {sum(self.full_bytes.values()):,} bytes when full, {sum(self.end_bytes.values()):,} in the end",
            f"the instance that grew most since it was full: by {self.grown_kb:,} kB",
        ]

    def report(self, seed: int) -> str:
        """Print a page."""
        verdict = "all is bounded and exact" if not self.faults() else "NOT BOUNDED"
        title = f"Flood of {self.sent['served']:,} requests with seed {seed}: {verdict}"
        return "\n".join([title, "", *self.facts(), *(f"FAULT  {fault}" for fault in self.faults()), ""])


def flood(
    url: str,
    attempts: int,
    seed: int,
    max_series: int,
    tick: Callable[[int], None] = lambda _served: None,
) -> Findings:
    """Let instances be flooded, and return what came of it.

    Args:
        url: of an empty Redis.
        attempts: requests, all together.
        seed: what they are drawn from.
        max_series: the cap.
        tick: is told now and then how many requests were served.
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
            said = json.loads(line)
            if "ended" in said:
                _take(findings, said["ended"])
                continue
            served += said["served"]
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


def _take(findings: Findings, ended: dict[str, Any]) -> None:
    findings.sent.update(ended["sent"])
    findings.children = max(findings.children, ended["children"])
    findings.grown_kb = max(findings.grown_kb, ended["end_kb"] - ended["full_kb"])


def _sizes(client: Any) -> dict[str, int]:
    """Return how many bytes Redis holds each key of the flooded families in."""
    keys = [key.decode() for key in client.scan_iter("*:series:flood_*")]
    return {key: client.memory_usage(key, samples=0) for key in keys}


async def _page(url: str) -> dict[str, float]:
    store = RedisStore(settings(url))
    try:
        return await samples(store, "")
    finally:
        await store.aclose()


def main() -> int:
    """Run a flood; return 1 if anything is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos.cardinality", description=__doc__)
    parser.add_argument("--attempts", type=int, default=1_000_000, help="requests, all together")
    parser.add_argument("--max-series", type=int, default=1_000, help="the cap")
    parser.add_argument("--seed", type=int, default=randrange(1_000_000), help="of the requests")
    parser.add_argument("--report", type=Path, help="write the report to this file, too")
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
