"""The memory of one instance: `python -m tests.faults.chaos.instance_memory` counts a million label values in it.

The instance has a counter, a histogram and a gauge, and a store that takes everything. It must not grow between a tenth
of the way and the end.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from rich.progress import Progress

from lib.kairo_metrics.delivery.pipeline import Pipeline, open_pipeline
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.instance import samples, settings

__all__ = ["Growth", "grow", "memory_kb"]

_FLUSHED_EVERY = 1_000
_GROWTH_KB = 10 * 1024


@dataclass(frozen=True, slots=True)
class Growth:
    """What an instance came to.

    Args:
        values: how many label values it has counted.
        early_kb: resident memory after a tenth of them.
        end_kb: in the end.
        children: how many it kept of each instrument.
        counted: what the page adds up to, by family.
    """

    values: int
    early_kb: int
    end_kb: int
    children: tuple[int, ...]
    counted: dict[str, float]

    def faults(self, max_series: int) -> list[str]:
        """Name what is not as it should be."""
        found = [f"it keeps {children} children" for children in self.children if children > max_series + 1]
        found += [f"{family} adds up to {count}" for family, count in self.counted.items() if count != self.values]
        if self.end_kb - self.early_kb > _GROWTH_KB:
            found.append(f"it has grown by {self.end_kb - self.early_kb} kB")
        return found

    def facts(self, max_series: int) -> list[str]:
        """Say what was measured and counted."""
        return [
            f"cap {max_series:,}, label values {self.values:,}, children {self.children}",
            f"resident memory after a tenth {self.early_kb:,} kB, in the end {self.end_kb:,} kB",
        ]


def grow(values: int, max_series: int, tick: Callable[[int], None] = lambda _counted: None) -> Growth:
    """Count so many label values in this process, and return what it came to.

    Args:
        values: no two are alike.
        max_series: the cap.
        tick: is told now and then how many were counted.
    """
    chosen = settings(max_series=max_series)
    store = MemoryStore(chosen)
    opened = open_pipeline(chosen, store)
    assert opened is not None
    registry = CollectorRegistry()
    instruments: list[Any] = [
        Counter("grown_jobs", "Jobs.", ["client"], registry=registry),
        Histogram("grown_wait", "Their waiting.", ["client"], registry=registry),
        Gauge("grown_open", "Those begun.", ["client"], registry=registry, multiprocess_mode="sum"),
    ]
    early_kb = 0
    for first in range(0, values, _FLUSHED_EVERY):
        _count(opened, instruments, range(first, min(first + _FLUSHED_EVERY, values)))
        tick(first + _FLUSHED_EVERY)
        if not early_kb and first + _FLUSHED_EVERY >= values / 10:
            early_kb = memory_kb()
    end_kb = memory_kb()  # before the page, which takes more than all of the instance
    page = asyncio.run(samples(store, "grown_"))
    names = ("grown_jobs_total", "grown_wait_count", "grown_open")
    return Growth(
        values,
        early_kb,
        end_kb,
        tuple(len(instrument._metrics) for instrument in instruments),
        {name: sum(value for sample, value in page.items() if sample.startswith(name + "{")) for name in names},
    )


def _count(opened: Pipeline, instruments: list[Any], numbers: range) -> None:
    jobs, wait, begun = instruments
    for number in numbers:
        client = f"client {number}"
        jobs.labels(client).inc()
        wait.labels(client).observe(number % 7)
        begun.labels(client).inc()
    opened.flusher.flush()


def memory_kb() -> int:
    """Return the resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024


def main() -> int:
    """Count a million label values; return 1 if the instance has grown."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos.instance_memory", description=__doc__)
    parser.add_argument("--values", type=int, default=1_000_000, help="how many label values")
    parser.add_argument("--max-series", type=int, default=10_000, help="the cap")
    parser.add_argument("--report", type=Path, help="write the report to this file, too")
    asked = parser.parse_args()
    with Progress() as progress:
        task = progress.add_task("instance", total=asked.values)
        growth = grow(asked.values, asked.max_series, lambda counted: progress.update(task, completed=counted))
    faults = growth.faults(asked.max_series)
    lines = [
        f"An instance with {asked.values:,} label values: {'NOT BOUNDED' if faults else 'it is bounded'}",
        "",
        *growth.facts(asked.max_series),
        *(f"FAULT  {fault}" for fault in faults),
    ]
    page = "\n".join([*lines, ""])
    if asked.report:
        asked.report.parent.mkdir(parents=True, exist_ok=True)
        asked.report.write_text(page)
    sys.stdout.write(page)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
