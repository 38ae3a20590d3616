"""Programs that come from prometheus_client's multiprocess mode and still have `PROMETHEUS_MULTIPROC_DIR`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib.kairo_metrics.instruments import multiprocess_value

PROGRAM = """
import asyncio, logging, os, sys
os.getpid = lambda: 7  # that of a container is the same at each start
from prometheus_client import Counter, Enum, Gauge, Histogram, Info
jobs = Counter("jobs", "J.", ["kind"])
size = Histogram("size", "S.", buckets=(1,))
limit = Gauge("limit", "L.", multiprocess_mode="mostrecent")
late = Counter("late", "L.")
build, phase = Info("build", "B."), Enum("phase", "P.", states=["on", "off"])

def count():
    jobs.labels("a").inc()
    size.observe(2)
    limit.set(42)
    build.info({"version": "1"})
    phase.state("off")

BEFORE

if "old" not in sys.argv:
    from lib.kairo_metrics import Settings, flush
    from lib.kairo_metrics.delivery.process_pipeline import open_pipeline
    from lib.kairo_metrics.testing.memory_store import MemoryStore
    from tests.support.instance import page
    logging.basicConfig(stream=sys.stdout)
    settings = Settings(enabled=True)
    store = MemoryStore(settings)
    open_pipeline(settings, store)
    open_pipeline(settings, store)
    count()
    jobs.labels("b").inc()
    jobs.labels("gone").inc()
    jobs.remove("gone")
    late.inc()
    Gauge("fresh", "F.", multiprocess_mode="sum").set(3)
    flush()
    names = ("jobs_total", "size_sum", "limit", "late_total", "fresh", "build_info", "phase")
    print("\\n".join(line for line in asyncio.run(page(store)).splitlines() if line.startswith(names)))
"""


def run(folder: Path, *arguments: str, before: str = "") -> list[str]:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    code = PROGRAM.replace("BEFORE", before)
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    return ran.stdout.splitlines()


SHOWN = [
    'build_info{version="1"} 1',
    "fresh 3",
    'jobs_total{kind="a"} 1',
    'jobs_total{kind="b"} 1',
    "late_total 1",
    "limit 42",
    'phase{phase="off"} 1',
    'phase{phase="on"} 0',
    "size_sum 2",
]


def test_what_earlier_processes_counted_is_not_counted_again(tmp_path: Path) -> None:
    """Files of an earlier process with the same id add nothing to what this process counts, and the log tells why."""
    run(
        tmp_path, "old", before="jobs.labels('a').inc(100)\njobs.labels('b').inc(100)\nlate.inc(100)\nsize.observe(100)"
    )
    for _ in range(2):
        warning, *shown = run(tmp_path)
        assert sorted(shown) == SHOWN
        assert warning == (
            "WARNING:kairo_metrics:PROMETHEUS_MULTIPROC_DIR is set; metrics of all processes are added up in Redis, so "
            "it is not needed, and you can remove it"
        )


def test_what_was_counted_at_import_is_carried_over_from_new_files(tmp_path: Path) -> None:
    """In an empty folder everything was counted by this process, also before the set-up."""
    if multiprocess_value._born_s(os.open(tmp_path, os.O_RDONLY)) is None:
        pytest.skip("this file system does not keep when a file was made")
    shown = run(tmp_path, before="count()\nlate.inc(8)")
    assert {'jobs_total{kind="a"} 2', "late_total 9", "size_sum 4", "limit 42"} <= set(shown)
