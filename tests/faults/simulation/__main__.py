"""`python -m tests.faults.simulation --seed N --steps M` shows one schedule; `--schedules N` runs many and reports."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from rich.progress import Progress

from tests.faults.simulation.schedule import STEPS, Failure, run

_AT_ONCE = 50


@dataclass(slots=True)
class Outcome:
    """The results of some schedules.

    Args:
        happened: how often each action happened in all schedules.
        failures: the failure of each failed seed.
    """

    happened: Counter[str] = field(default_factory=Counter)
    failures: dict[int, str] = field(default_factory=dict)

    def add(self, other: Outcome) -> None:
        """Add the results of other schedules."""
        self.happened.update(other.happened)
        self.failures |= other.failures


def run_some(seeds: range) -> Outcome:
    """Run schedules one after the other."""
    if not gc.get_freeze_count():  # once, or what earlier schedules have left would stay as well
        gc.freeze()  # the imported modules stay: the collector need not walk them
    outcome = Outcome()
    for seed in seeds:
        try:
            outcome.happened.update(run(seed).happened)
        except Failure as err:
            outcome.failures[seed] = str(err)
    return outcome


def run_all(seeds: range, processes: int) -> Iterator[tuple[int, Outcome]]:
    """Run schedules in several processes; yield the number of schedules and the results of each chunk."""
    chunks = [seeds[start : start + _AT_ONCE] for start in range(0, len(seeds), _AT_ONCE)]
    if processes == 1:
        yield from ((len(chunk), run_some(chunk)) for chunk in chunks)
        return
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        for chunk, outcome in zip(chunks, pool.map(run_some, chunks), strict=True):
            yield len(chunk), outcome


def report(seeds: range, outcome: Outcome, seconds: float) -> str:
    """Return the report."""
    lines = [
        f"Simulation of the delivery protocol: seeds {seeds.start} to {seeds.stop - 1}, {STEPS} steps each",
        f"{len(seeds)} schedules in {seconds:.0f} s; {len(outcome.failures)} failed",
        "",
        *(f"{count:>12,}  {what}" for what, count in sorted(outcome.happened.items()) if "nothing" not in what),
        "",
    ]
    for err in list(outcome.failures.values())[:20]:
        lines += [f"FAILED  {err}", ""]
    return "\n".join(lines)


def show(seed: int, steps: int) -> int:
    """Show one schedule, up to a step."""
    try:
        trace = run(seed, steps).trace
    except Failure as err:
        sys.stdout.write("\n".join([*err.trace, f"step {err.step} failed: {err}", ""]))
        return 1
    sys.stdout.write("\n".join([*trace, "everything passed", ""]))
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments name, and print the result; return 1 if something failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="seed of the schedule, or of the first one")
    parser.add_argument("--steps", type=int, default=STEPS, help="show the schedule up to this step")
    parser.add_argument("--schedules", type=int, help="run this number of schedules, and print a report")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="number of processes")
    parser.add_argument("--report", type=Path, help="also write the report to this file")
    asked = parser.parse_args(arguments)
    if asked.schedules is None:
        return show(asked.seed, asked.steps)
    seeds = range(asked.seed, asked.seed + asked.schedules)
    outcome, started_s = Outcome(), time.monotonic()
    with Progress() as progress:
        task = progress.add_task("schedules", total=len(seeds))
        for done, some in run_all(seeds, asked.processes):
            outcome.add(some)
            progress.update(task, advance=done, description=f"schedules, {len(outcome.failures)} failed")
    page = report(seeds, outcome, time.monotonic() - started_s)
    if asked.report:
        asked.report.parent.mkdir(parents=True, exist_ok=True)
        asked.report.write_text(page)
    sys.stdout.write(page)
    return 1 if outcome.failures else 0


if __name__ == "__main__":
    # Functions for other processes must come from a module that these can import, and they can't import __main__.
    from tests.faults.simulation.__main__ import main as importable_main

    sys.exit(importable_main())
