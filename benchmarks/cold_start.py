"""`make cold-start`: how much time metrics add to a cold start on Vercel.

Vercel's builder builds a few functions, with and without `.pyc` files, and Vercel's runtime starts them in turn. Only
the differences within one run are comparable: another machine has other times.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path

from tests.deployment.platform.project import copy_library
from tests.deployment.platform.vercel_build import Build, vercel_build
from tests.deployment.platform.vercel_instance import running_instance
from tests.deployment.platform.vercel_tools import PYTHON_VERSION, ToolMissing, Tools, find_tools

__all__ = ["bench_cold_start"]

_STARTS = 21
_ROOT = Path(__file__).parent.parent
_PLAIN = """
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def hello(request):
    return JSONResponse({"hello": "world"})

app = Starlette(routes=[Route("/{path:path}", hello)])
"""
_FUNCTIONS = {
    "plain": _PLAIN,
    "redis": f"import redis.asyncio\n{_PLAIN}",
    "client": f"import prometheus_client\n{_PLAIN}",
    "watched": f"from lib.kairo_metrics import instrument\n{_PLAIN}\napp = instrument(app)\n",
    "counting": (
        f"from prometheus_client import Counter\nfrom lib.kairo_metrics import instrument\n{_PLAIN}\n"
        "Counter('greetings', 'Greetings sent.', ['language'])\napp = instrument(app)\n"
    ),
    "page": "from lib.kairo_metrics import metrics_app\n\napp = metrics_app()\n",
}
_TITLES = {
    "plain": "a Starlette function",
    "redis": "  that imports redis.asyncio",
    "client": "  that imports prometheus_client",
    "watched": "  wrapped in instrument()",
    "counting": "  with a counter of its own, too",
    "page": "metrics_app()",
}
_METRICS_ON = {"ENABLE_METRICS": "true", "METRICS_AUTH_TOKEN": "t", "REDIS_URL": "redis://127.0.0.1:1"}


def bench_cold_start(tools: Tools) -> None:
    """Measure the time from the start of a process to `server-started`, in builds without and with `.pyc` files."""
    with tempfile.TemporaryDirectory(prefix="cold-start-") as folder:
        for title, goal_ms, env in (
            ("Without .pyc files, as Vercel deploys a function", 25, {}),
            ("With .pyc files (VERCEL_PYTHON_COMPILEALL=1)", 10, {"VERCEL_PYTHON_COMPILEALL": "1"}),
        ):
            project = Path(folder, str(goal_ms))
            _write_project(project)
            print(f"{title}; goal for instrument(): at most {goal_ms} ms more than prometheus_client alone")
            _print(_medians_ms(vercel_build(project, tools, env)))


def _write_project(project: Path) -> None:
    for function, source in _FUNCTIONS.items():
        file = project / "api" / f"{function}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
    for name in ("requirements.txt", ".python-version"):
        (project / name).write_text((_ROOT / name).read_text())
    (project / "vercel.json").write_text('{"framework": null}')
    (project / "public").mkdir()
    copy_library(project)


def _medians_ms(build: Build) -> dict[str, float]:
    """Start the functions in turn, so that a slow moment of the machine affects all of them."""
    starts_ms: dict[str, list[float]] = {function: [] for function in _FUNCTIONS}
    for attempt in range(_STARTS + 1):
        for function, durations in starts_ms.items():
            with running_instance(build, f"api/{function}", _METRICS_ON) as instance:
                if attempt:  # the first start reads the files from the disk
                    durations.append(instance.start_s * 1000)
    return {function: statistics.median(durations) for function, durations in starts_ms.items()}


def _print(medians_ms: dict[str, float]) -> None:
    floor_ms = medians_ms["plain"]
    for function, median_ms in medians_ms.items():
        difference = f"{median_ms - floor_ms:+6.0f} ms{median_ms / floor_ms:7.2f} x" if function != "plain" else ""
        print(f"  {_TITLES[function]:<36}{median_ms:6.0f} ms{difference}")
    print()


if __name__ == "__main__":
    try:
        found = find_tools()
    except ToolMissing as err:
        sys.exit(str(err))
    print(f"From the start of a process to server-started, medians of {_STARTS} starts")
    print(f"Vercel's runtime on Python {PYTHON_VERSION}, {os.cpu_count()} cores\n")
    bench_cold_start(found)
