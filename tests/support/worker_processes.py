"""Instances in their own processes, and the totals of all their requests."""

from __future__ import annotations

import os
import subprocess
import sys


def start_worker(redis_url: str, requests: int, at_once: int = 1) -> subprocess.Popen[bytes]:
    """Start a process that serves requests and delivers to this Redis."""
    environment = {**os.environ, "ENABLE_METRICS": "true", "REDIS_URL": redis_url, "METRICS_NAMESPACE": "development"}
    command = [sys.executable, "-m", "tests.support.worker", str(requests), str(at_once)]
    return subprocess.Popen(command, env=environment)


def finish(worker: subprocess.Popen[bytes]) -> None:
    """Wait for a worker to end, and check that it succeeded."""
    worker.communicate(timeout=240)
    assert worker.returncode == 0


def expected(requests: int, processes: int) -> dict[str, float]:
    """Return the totals that this number of requests by this number of workers must have."""
    quarter, half, failed = requests // 4, requests // 2, requests // 10
    labels = 'method="GET",route="/pieces/{number}"'
    per_process = {
        'pieces_total{kind="even"}': half,
        'pieces_total{kind="odd"}': half,
        'piece_size_bytes_bucket{le="1.0"}': 2 * quarter,
        'piece_size_bytes_bucket{le="2.0"}': 2 * quarter,
        'piece_size_bytes_bucket{le="32.0"}': 3 * quarter,
        'piece_size_bytes_bucket{le="+Inf"}': requests,
        "piece_size_bytes_count": requests,
        "piece_size_bytes_sum": 69.5 * quarter,
        f'http_requests_total{{{labels},status="200"}}': requests - failed,
        f'http_requests_total{{{labels},status="503"}}': failed,
        f'api_errors_total{{{labels},type="http_503"}}': failed,
        f"http_request_duration_seconds_count{{{labels}}}": requests,
        f'http_request_duration_seconds_bucket{{{labels},le="+Inf"}}': requests,
    }
    return {sample: processes * count for sample, count in per_process.items()}
