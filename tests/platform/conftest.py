"""Both projects as Vercel builds them, once for the whole run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.platform.deployment import Deployment
from tests.platform.project import PROJECTS
from tests.platform.vercel_build import vercel_build
from tests.platform.vercel_tools import ToolMissing, Tools, find_tools


@pytest.fixture(scope="session")
def tools() -> Tools:
    """Give Vercel's builder, or skip the test with a word on what to install."""
    try:
        return find_tools()
    except ToolMissing as err:
        pytest.skip(str(err))


@pytest.fixture(scope="session", params=PROJECTS)
def deployment(
    request: pytest.FixtureRequest, tools: Tools, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """Give a project as `vercel build` has built it: this repository, then the example."""
    project = PROJECTS[request.param]
    copy = tmp_path_factory.mktemp(request.param)
    project.copy(copy)
    yield Deployment(project, vercel_build(copy, tools))
    shutil.rmtree(copy)  # a build holds its own Python environment, and pytest keeps folders for three runs
