"""What a request costs the server's process: an app plain, with another library, and with ours, in turn.

CPU time is the main figure. Requests per second depend on what else runs on the machine; the processor's time for one
request hardly does.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import redis

from lib.kairo_metrics.dev.private_redis import private_redis
from tests.support.dev_server import REPOSITORY
from tests.support.host_server import HostServer, starting_host_server

__all__ = ["bench_request_cost"]

_ROUNDS, _SECONDS = 7, 2
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_UVICORN = "exec python -m uvicorn measured:app --port $PORT --no-access-log --log-level warning"
_GUNICORN = "exec python -m gunicorn measured:app --bind 127.0.0.1:$PORT --worker-class gthread --threads 8"
_STARLETTE = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def hello(request):
    return PlainTextResponse("hello")

app = Starlette(routes=[Route("/hello/{name}", hello)])
"""
_FLASK = """
from flask import Flask

app = Flask(__name__)

@app.get("/hello/<name>")
def hello(name):
    return "hello"
"""
_OURS = "from kairo_metrics import instrument\napp = instrument(app)\n"
_CONTENT = """
from lib.kairo_cms import content_app
from lib.kairo_metrics import instrument

app = instrument(content_app())
"""


@dataclass(frozen=True)
class _Case:
    """One app in several variants: the first is the floor, the last is ours and is compared with the one before."""

    title: str
    command: str
    apps: Mapping[str, str]
    path: str = "/hello/you"
    clients: int = 64


_CASES = (
    _Case(
        "Starlette on one uvicorn",
        _UVICORN,
        {
            "plain": _STARLETTE,
            "starlette_exporter": f"{_STARLETTE}\nfrom starlette_exporter import PrometheusMiddleware\n"
            "app.add_middleware(PrometheusMiddleware, group_paths=True)\n",
            "kairo_metrics": _STARLETTE + _OURS,
        },
    ),
    _Case(
        "Flask on one gunicorn worker with 8 threads",
        _GUNICORN,
        {
            "plain": _FLASK,
            "prometheus_flask_exporter": f"{_FLASK}\nfrom prometheus_flask_exporter import PrometheusMetrics\n"
            "PrometheusMetrics(app)\n",
            "kairo_metrics": _FLASK + _OURS,
        },
    ),
    _Case(
        "The content API on one uvicorn",
        _UVICORN,
        {"metrics off": _CONTENT, "kairo_metrics": _CONTENT},
        path="/api/content",
        clients=200,
    ),
)


@dataclass
class _Cost:
    """What the rounds of one variant have shown."""

    cpu_us: list[float] = field(default_factory=list)
    per_s: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    requests: int = 0
    commands: int = 0


def bench_request_cost(chosen: str = "") -> None:
    """Measure each case whose title has that word.

    Args:
        chosen: "" measures all.
    """
    if shutil.which("wrk") is None:
        print("What a request costs the server is not measured: it needs wrk, a package of Debian and Homebrew")
        return
    for case in _CASES:
        if chosen in case.title:
            _print(case, _costs(case))


def _costs(case: _Case) -> dict[str, _Cost]:
    costs = {variant: _Cost() for variant in case.apps}
    with ExitStack() as stack:
        client = redis.Redis.from_url(url := stack.enter_context(private_redis()))
        servers = {variant: stack.enter_context(_serving(case, variant, url)) for variant in costs}
        for number in range(_ROUNDS + 1):
            for variant, cost in costs.items():
                client.config_resetstat()
                figures = _load(servers[variant], case)
                if number:  # the first round warms up
                    for name, values in vars(cost).items():
                        if isinstance(values, list):
                            values.append(figures[name])
                    cost.requests += int(figures["requests"])
                    cost.commands += client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]
    return costs


@contextmanager
def _serving(case: _Case, variant: str, redis_url: str) -> Iterator[HostServer]:
    """Serve one variant, on the last core if there are several: the client and Redis then have the others."""
    with tempfile.TemporaryDirectory(prefix="request-cost-") as folder:
        Path(folder, "measured.py").write_text(case.apps[variant])
        env = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'lib'}",
            "ENABLE_METRICS": str(variant == "kairo_metrics").lower(),
            "METRICS_AUTH_TOKEN": "bench",
            "REDIS_URL": redis_url,
            "DATABASE_URL": f"sqlite:///{folder}/content.sqlite3",
        }
        command = ["sh", "-c", case.command]
        with starting_host_server(env, cwd=Path(folder), command=command) as server:
            server.wait_until_it_serves(case.path)
            cores = sorted(os.sched_getaffinity(0))
            for thread in _threads(server):
                os.sched_setaffinity(thread, cores[-1:])
            answer = httpx.get(server.url + case.path, headers={"X-Tenant": "acme"})
            assert answer.status_code == httpx.codes.OK, server.output
            yield server


def _load(server: HostServer, case: _Case) -> dict[str, float]:
    """Send requests for some seconds over connections that stay open, and return what that took."""
    wrk = ["wrk", "--latency", "-t1", f"-c{case.clients}", f"-d{_SECONDS}", "-H", "X-Tenant: acme"]
    before_s = _cpu_s(server)
    printed = subprocess.run([*wrk, server.url + case.path], capture_output=True, text=True, check=True).stdout
    cpu_s = _cpu_s(server) - before_s
    found = re.search(r"99%\s+([\d.]+)(us|ms|s)\b.*?(\d+) requests in.*?Requests/sec:\s+([\d.]+)", printed, re.DOTALL)
    assert found is not None, printed
    assert "Non-2xx" not in printed, printed
    in_ms = {"us": 1e-3, "ms": 1.0, "s": 1e3}[found[2]]
    requests = int(found[3])
    return {
        "cpu_us": cpu_s / requests * 1e6,
        "per_s": float(found[4]),
        "p99_ms": float(found[1]) * in_ms,
        "requests": requests,
    }


def _threads(server: HostServer) -> list[int]:
    return [int(task.name) for process in _processes(server) for task in Path(f"/proc/{process}/task").iterdir()]


def _processes(server: HostServer) -> list[int]:
    """Return the server's process and its workers: they are in one group of processes."""
    group = server.process.pid
    known = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [process for process in known if _stat(process)[2:3] == [str(group)]]


def _cpu_s(server: HostServer) -> float:
    return sum(sum(map(int, _stat(process)[11:13])) for process in _processes(server)) / _TICKS_PER_S


def _stat(process: int) -> list[str]:
    """Return what `man proc` has of a process, from its state on: third is the group, 12th and 13th are the times."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended
        return []


def _print(case: _Case, costs: dict[str, _Cost]) -> None:
    floor, peer, ours = next(iter(costs.values())), *list(costs.values())[-2:]
    print(f"{case.title}, {case.clients} kept connections; medians of {_ROUNDS} rounds, CPU time is the server's")
    for variant, cost in costs.items():
        added_us = f"{statistics.median(_differences(cost, floor)):+6.0f} µs" if cost is not floor else ""
        commands = f"{cost.commands / cost.requests:9.3f} commands a request" if cost is ours else ""
        print(
            f"  {variant:<28}{statistics.median(cost.cpu_us):6.0f} µs{added_us:>11}"
            f"{statistics.median(cost.per_s):9.0f} requests/s{statistics.median(cost.p99_ms):9.1f} ms p99{commands}"
        )
    if peer is not floor:
        added = _ratio(_differences(ours, floor), _differences(peer, floor))
        print(f"  added CPU time, ours to the other library's: {added:.2f}, goal: at most 1")
    print(f"  requests/s, ours to the row before: {_ratio(ours.per_s, peer.per_s):.2f}, goal: at least 0.9")
    print(f"  p99, ours to the row before: {_ratio(ours.p99_ms, peer.p99_ms):.2f}, goal: at most 1.5\n")


def _differences(cost: _Cost, floor: _Cost) -> list[float]:
    return [us - floor_us for us, floor_us in zip(cost.cpu_us, floor.cpu_us, strict=True)]


def _ratio(ours: Sequence[float], others: Sequence[float]) -> float:
    """Return the median of the ratios of each round, in which the machine was equally busy for all."""
    return statistics.median(own / other for own, other in zip(ours, others, strict=True))


if __name__ == "__main__":
    bench_request_cost(*sys.argv[1:])
