"""Work after the response: what `wait_until` runs is counted before the platform freezes the instance."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deployment.platform.deployment import Deployment
from tests.deployment.platform.project import Project
from tests.deployment.platform.vercel_build import vercel_build
from tests.deployment.platform.vercel_tools import Tools

pytestmark = pytest.mark.long

BACKGROUND = Project(
    source=Path(__file__).parent / "background",
    watched="api/later",
    request=("GET", "/api/later"),
    route="/api/later",
    own_sample="mails_sent_total",
    megabytes=60,
    packages=("prometheus-client", "redis", "starlette"),
)


@pytest.fixture(scope="module")
def background(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Return a project with Vercel's own package, as `vercel build` builds it."""
    folder = tmp_path_factory.mktemp("background")
    BACKGROUND.copy(folder)
    requirements = folder / "requirements.txt"
    requirements.write_text(requirements.read_text() + "vercel==0.12.1\n")
    return Deployment(BACKGROUND, vercel_build(folder, tools))


@pytest.mark.parametrize("name", ["later", "threaded"])
def test_what_runs_after_the_response_is_counted(background: Deployment, redis_url: str, name: str) -> None:
    """A measured task that is given to `wait_until`, by an ASGI app or by a WSGI app, has left when `end` is sent."""
    for _ in range(3):
        with background.instance(f"api/{name}", redis_url) as instance:
            answer = instance.request("GET", f"/api/{name}")
            assert (answer.response.status_code, answer.response.text) == (200, "ordered"), instance.ipc.log
            instance.ipc.wait_until_ended(answer.invocation)
            instance.process.kill()  # nothing runs any more: neither a timer nor a flush at the exit
    page = background.scrape(redis_url)
    assert page['function_invocations_total{function="mail",outcome="success"}'] == 3
    assert page["mails_sent_total"] == 3
    assert sum(value for sample, value in page.items() if sample.startswith("http_requests_total")) == 3
