"""A built project, and instances of its functions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.deployment.platform.project import Project
from tests.deployment.platform.vercel_build import Build
from tests.deployment.platform.vercel_instance import Answer, VercelInstance, running_instance

__all__ = ["Deployment"]

_TOKEN = "t"
_SETTINGS = {
    "ENABLE_METRICS": "true",
    "METRICS_AUTH_TOKEN": _TOKEN,
    # A test may block Redis; the flush waits for it, even on a slow machine.
    "METRICS_FLUSH_BUDGET_MS": "30000",
    "METRICS_SCRAPE_TIMEOUT_MS": "60000",
    # Nor must such a request be sent in parts, because its flushes are counted.
    "METRICS_STREAM_FLUSH_S": "3600",
    # Vercel's functions keep no .pyc files; here only the first instance compiles a module.
    "PYTHONDONTWRITEBYTECODE": "",
}


@dataclass(frozen=True, slots=True)
class Deployment:
    """A project and its build."""

    project: Project
    build: Build

    @contextmanager
    def instance(self, function: str, redis_url: str, **settings: str) -> Iterator[VercelInstance]:
        """Run an instance of a function, with metrics on."""
        env = {**_SETTINGS, "REDIS_URL": redis_url, **settings}
        with running_instance(self.build, function, env) as instance:
            yield instance

    @contextmanager
    def watched(self, redis_url: str, **settings: str) -> Iterator[VercelInstance]:
        """Run an instance of the function whose requests are counted."""
        with self.instance(self.project.watched, redis_url, **settings) as instance:
            yield instance

    def ask(self, instance: VercelInstance) -> Answer:
        """Send the project's request to an instance of its watched function."""
        answer = instance.request(*self.project.request, **self.project.sent)
        assert answer.response.status_code == 200, f"{answer.response.text}\n{instance.ipc.log}"
        return answer

    def scrape(self, redis_url: str, path: str = "/api/metrics", function: str = "api/metrics") -> dict[str, float]:
        """Request the page from a new instance of the function that has it, and return its samples."""
        with self.instance(function, redis_url) as instance:
            answer = instance.request("GET", path, headers={"Authorization": f"Bearer {_TOKEN}"})
            assert answer.response.status_code == 200, f"{answer.response.text}\n{instance.ipc.log}"
        lines = (line for line in answer.response.text.splitlines() if not line.startswith("#"))
        return {sample: float(value) for sample, _, value in (line.rpartition(" ") for line in lines)}
