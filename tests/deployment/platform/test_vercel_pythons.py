"""The versions of Python that Vercel has beside the one in .python-version."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deployment.platform.deployment import Deployment
from tests.deployment.platform.project import THIS_REPOSITORY
from tests.deployment.platform.vercel_build import vercel_build
from tests.deployment.platform.vercel_tools import ToolMissing, find_tools

pytestmark = pytest.mark.long


@pytest.mark.parametrize("version", ["3.13", "3.14"])
def test_a_project_may_choose_a_newer_python(version: str, tmp_path: Path, redis_url: str) -> None:
    """With another version in .python-version the builder takes it, and its runtime counts and shows the page."""
    try:
        tools = find_tools(version)
    except ToolMissing as err:
        pytest.skip(str(err))
    project = THIS_REPOSITORY
    project.copy(tmp_path)
    (tmp_path / ".python-version").write_text(f"{version}\n")
    built = Deployment(project, vercel_build(tmp_path, tools))
    assert {function.settings["runtime"] for function in built.build.functions.values()} == {f"python{version}"}
    for _ in range(2):
        with built.watched(redis_url) as instance:
            instance.ipc.wait_until_ended(built.ask(instance).invocation)
    assert built.scrape(redis_url)[project.requests_sample] == 2
