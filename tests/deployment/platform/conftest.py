"""The projects, each built once by Vercel's builder for the whole run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deployment.platform.deployment import Deployment
from tests.deployment.platform.package_origins import Origins, build_origins
from tests.deployment.platform.project import ENTRY_POINTS, EXAMPLES, TELEMETRY, THIS_REPOSITORY, Project
from tests.deployment.platform.vercel_build import Build, vercel_build
from tests.deployment.platform.vercel_tools import ToolMissing, Tools, find_tools
from tests.support.once import Once

# The functions of users' projects: no tests, and a process has one Django project at most.
collect_ignore = [ENTRY_POINTS.source.name, TELEMETRY.source.name, "background"]


@pytest.fixture(scope="session")
def tools() -> Tools:
    """Return Vercel's builder, or skip the test with advice on what to install."""
    try:
        return find_tools()
    except ToolMissing as err:
        pytest.skip(str(err))


@pytest.fixture(scope="session")
def deployment(tools: Tools, once: Once) -> Deployment:
    """Return this repository as `vercel build` builds it."""
    return _deployed(THIS_REPOSITORY, "repository", tools, once)


@pytest.fixture(scope="session", params=[name for name in EXAMPLES if name != "cron_and_queue"])
def example(request: pytest.FixtureRequest, tools: Tools, once: Once) -> Deployment:
    """Return an example as `vercel build` builds it."""
    return _deployed(EXAMPLES[request.param], request.param, tools, once)


@pytest.fixture(scope="session")
def cron_and_queue(tools: Tools, once: Once) -> Deployment:
    """Return the example with a cron and a queue as `vercel build` builds it."""
    return _deployed(EXAMPLES["cron_and_queue"], "cron_and_queue", tools, once)


@pytest.fixture(scope="session")
def entry_points(tools: Tools, once: Once) -> Deployment:
    """Return the project with a function for each entry point, as `vercel build` builds it."""
    return _deployed(ENTRY_POINTS, "entry-points", tools, once)


@pytest.fixture(scope="session")
def telemetry(tools: Tools, once: Once) -> Deployment:
    """Return the project whose functions count with OpenTelemetry, as `vercel build` builds it."""
    return _deployed(TELEMETRY, "telemetry", tools, once)


@pytest.fixture(scope="session")
def origins(once: Once) -> Origins:
    """Return a wheel of the package, and a git repository with it."""
    return once("package-origins", build_origins)


def _deployed(project: Project, name: str, tools: Tools, once: Once) -> Deployment:
    def build(folder: Path) -> Build:
        project.copy(folder)
        return vercel_build(folder, tools)

    return Deployment(project, once(f"vercel-{name}", build))
