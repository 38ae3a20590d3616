"""`python -m tests.faults.soak --seconds N` prints its seed, runs, and reports whether all sums are exact."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from random import randrange

from rich.progress import Progress

from tests.faults.soak.soak import soak


def main() -> int:
    """Run a soak, and print the report; return 1 if a sum is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="duration of the faults")
    parser.add_argument("--seed", type=int, default=randrange(1_000_000), help="seed of the faults")
    parser.add_argument("--report", type=Path, help="also write the report to this file")
    asked = parser.parse_args()
    sys.stdout.write(f"seed {asked.seed}\n")
    with Progress() as progress:
        task = progress.add_task("soak", total=asked.seconds)
        books = soak(asked.seconds, asked.seed, lambda passed_s: progress.update(task, completed=passed_s))
        progress.update(task, completed=asked.seconds)
    page = books.page(asked.seed, asked.seconds)
    if asked.report:
        asked.report.parent.mkdir(parents=True, exist_ok=True)
        asked.report.write_text(page)
    sys.stdout.write(page)
    return 0 if books.is_exact else 1


if __name__ == "__main__":
    sys.exit(main())
