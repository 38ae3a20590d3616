"""A fresh project after `init`, without any other change, built by Vercel's builder and run by its runtime."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.deployment.platform.deployment import Deployment
from tests.deployment.platform.fresh_projects import FRESH, Fresh, install_wheel
from tests.deployment.platform.project import Project
from tests.deployment.platform.vercel_build import vercel_build
from tests.deployment.platform.vercel_router import route
from tests.deployment.platform.vercel_tools import Tools
from tests.support.once import Once


@pytest.mark.parametrize("name", FRESH)
def test_a_fresh_project_is_measured_after_init(
    name: str, tools: Tools, once: Once, tmp_path: Path, redis_url: str
) -> None:
    """Its requests arrive, are counted under their routes, and are on the page; no source is published."""
    fresh, root = FRESH[name], tmp_path / "shop"
    root.mkdir()
    fresh.write(root)
    assert "wrote" in initialized(fresh, root, once)
    assert "nothing is missing" in initialized(fresh, root, once)
    build = vercel_build(root, tools)
    assert build.static <= {".gitkeep"}
    assert route(build, fresh.path).function == fresh.watched
    assert route(build, "/api/metrics").function == fresh.page
    project = Project(root, fresh.watched, ("GET", fresh.path), fresh.route, own_sample="", megabytes=0)
    deployment = Deployment(project, build)
    with deployment.watched(redis_url) as instance:
        for _ in range(3):
            answer = deployment.ask(instance)
            assert answer.response.json() == {"item": 7}
            instance.ipc.wait_until_ended(answer.invocation)
    page = deployment.scrape(redis_url, function=fresh.page)
    assert page[project.requests_sample] == 3


def initialized(fresh: Fresh, root: Path, once: Once) -> str:
    """Run `init` in the project, and return what it prints."""
    command, variables = fresh.initializer(lambda: once("installed-wheel", install_wheel))
    environment = {**os.environ, **variables}
    ran = subprocess.run(
        [*command, "--yes", str(root)], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
