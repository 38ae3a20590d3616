"""`python -m benchmarks.peers`: compare the libraries, and write docs/img/peers.json and peers.svg."""

from __future__ import annotations

import os
import platform

from benchmarks.peers.comparison import compared
from benchmarks.peers.peer import PEERS
from benchmarks.peers.table import printed, write
from tests.support.dev_server import REPOSITORY

__all__ = ["bench_peers"]


def bench_peers() -> None:
    """Measure, print the table, and write the files."""
    print("A request is a counter, a histogram of 10 buckets and an error; all libraries in turn")
    figures = compared(PEERS)
    print(printed(figures))
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores"
    write(figures, machine, REPOSITORY / "docs" / "img")


if __name__ == "__main__":
    bench_peers()
