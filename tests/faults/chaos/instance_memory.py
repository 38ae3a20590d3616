"""The memory of one instance: `python -m tests.faults.chaos.instance_memory` counts a million label values.

The instance has a counter, a histogram and a gauge, and a memory store. It must not grow between a tenth
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

from prometheus_client import Counter, Gauge, Histogram
from rich.progress import Progress

from lib.kairo_metrics.delivery.pipeline import Pipeline
from lib.kairo_metrics.delivery.process_pipeline import open_pipeline
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.adopted import adopted_registry
from tests.support.instance import samples, settings

__all__ = ["Growth", "grow", "memory_kb"]

_FLUSHED_EVERY = 1_000
_GROWTH_KB = 10 * 1024


@dataclass(frozen=True, slots=True)
class Growth:
    """The result for an instance.

    Args:
        values: the number of label values it has counted.
        early_kb: resident memory after a tenth of them.
        end_kb: resident memory at the end.
        children: the number of children that it keeps of each instrument.
        counted: the sum on the page, by family.
    """

    values: int
    early_kb: int
    end_kb: int
    children: tuple[int, ...]
    counted: dict[str, float]

    def faults(self, max_series: int) -> list[str]:
        """Return the failures."""
        found = [f"it keeps {children} children" for children in self.children if children > max_series + 1]
        found += [f"{family} adds up to {count}" for family, count in self.counted.items() if count != self.values]
        if self.end_kb - self.early_kb > _GROWTH_KB:
            found.append(f"it has grown by {self.end_kb - self.early_kb} kB")
        return found

    def facts(self, max_series: int) -> list[str]:
        """Return what was measured and counted."""
        return [
            f"cap {max_series:,}, label values {self.values:,}, children {self.children}",
            f"resident memory: {self.early_kb:,} kB after a tenth, {self.end_kb:,} kB at the end",
        ]


def grow(values: int, max_series: int, tick: Callable[[int], None] = lambda _counted: None) -> Growth:
    """Count this number of label values in this process, and return the result.

    Args:
        values: the number of label values, all different.
        max_series: the cap.
        tick: called now and then with the number of counted label values.
    """
    chosen = settings(max_series=max_series)
    store = MemoryStore(chosen)
    opened = open_pipeline(chosen, store)
    assert opened is not None
    registry = adopted_registry()
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
    end_kb = memory_kb()  # before the page is rendered, which needs more memory than the instance
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
    """Count a million label values, and print the report; return 1 if the instance has grown."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos.instance_memory", description=__doc__)
    parser.add_argument("--values", type=int, default=1_000_000, help="number of label values")
    parser.add_argument("--max-series", type=int, default=10_000, help="the cap")
    parser.add_argument("--report", type=Path, help="also write the report to this file")
    asked = parser.parse_args()
    with Progress() as progress:
        task = progress.add_task("instance", total=asked.values)
        growth = grow(asked.values, asked.max_series, lambda counted: progress.update(task, completed=counted))
    faults = growth.faults(asked.max_series)
    lines = [
        f"An instance with {asked.values:,} label values: {'FAILED' if faults else 'memory is bounded'}",
        "",
        *growth.facts(asked.max_series),
        *(f"FAILED  {fault}" for fault in faults),
    ]
    page = "\n".join([*lines, ""])
    if asked.report:
        asked.report.parent.mkdir(parents=True, exist_ok=True)
        asked.report.write_text(page)
    sys.stdout.write(page)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
