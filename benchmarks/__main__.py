"""`make bench`: measure flushes, scrapes, pushes and requests, each against a floor in the same run."""

from __future__ import annotations

import os
import platform

from benchmarks.flush import bench_flush
from benchmarks.outages import bench_outages
from benchmarks.peers.__main__ import bench_peers
from benchmarks.push import bench_push
from benchmarks.queries import bench_queries
from benchmarks.recording import bench_recording
from benchmarks.redis_time import bench_redis_time
from benchmarks.request_cost import bench_request_cost
from benchmarks.response import bench_response
from benchmarks.scrape import bench_scrape
from lib.kairo_metrics.dev.private_redis import private_redis


def main() -> None:
    """Run every benchmark, each with its own Redis."""
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, times are medians\n")
    for bench in (bench_flush, bench_redis_time, bench_scrape, bench_response, bench_outages):
        with private_redis() as url:
            bench(url)
        print()
    bench_recording()
    print()
    bench_queries()
    print()
    bench_push()
    bench_peers()
    print()
    bench_request_cost()


if __name__ == "__main__":
    main()
