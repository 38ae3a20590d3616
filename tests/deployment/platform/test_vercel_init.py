"""A fresh project after `init`, without any other change, built by Vercel's builder and run by its runtime."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deployment.platform.deployment import Deployment
from tests.deployment.platform.fresh_projects import FRESH, Fresh
from tests.deployment.platform.package_origins import Origins
from tests.deployment.platform.project import Project
from tests.deployment.platform.vercel_build import BuiltFunction, vercel_build
from tests.deployment.platform.vercel_router import route
from tests.deployment.platform.vercel_tools import Tools
from tests.support.dev_server import REPOSITORY

pytestmark = pytest.mark.long

PACKAGE = REPOSITORY / "lib" / "kairo_metrics"
PACKAGE_FILES = {
    file.relative_to(PACKAGE.parent).as_posix()
    for file in PACKAGE.rglob("*")
    if file.is_file() and "__pycache__" not in file.parts
}
# As deploy/aws/bundle.py installs packages, for Lambda's system.
FOR_LAMBDA = ("--only-binary=:all:", "--platform=manylinux2014_x86_64", "--no-deps", "--no-compile")


@pytest.mark.parametrize("name", FRESH)
def test_a_fresh_project_is_measured_after_init(
    name: str, tools: Tools, origins: Origins, tmp_path: Path, redis_url: str
) -> None:
    """Its requests arrive, are counted under their routes, and are on the page; no source is published."""
    fresh, root = FRESH[name], tmp_path / "shop"
    root.mkdir()
    fresh.write(root)
    assert "wrote" in initialized(fresh, root, origins)
    assert "nothing is missing" in initialized(fresh, root, origins)
    build = vercel_build(root, tools)
    assert build.static <= {".gitkeep"}
    assert route(build, fresh.path).function == fresh.watched
    assert route(build, "/api/metrics").function == fresh.page
    if fresh.origin != "clone":
        assert vendored(build.functions[fresh.page]) == {file for file in PACKAGE_FILES if runs(file)}
    project = Project(root, fresh.watched, ("GET", fresh.path), fresh.route, own_sample="", megabytes=0)
    deployment = Deployment(project, build)
    with deployment.watched(redis_url) as instance:
        for _ in range(3):
            answer = deployment.ask(instance)
            assert answer.response.json() == {"item": 7}
            instance.ipc.wait_until_ended(answer.invocation)
    page = deployment.scrape(redis_url, function=fresh.page)
    assert page[project.requests_sample] == 3


def initialized(fresh: Fresh, root: Path, origins: Origins) -> str:
    """Run `init` in the project, and return what it prints."""
    command, variables = fresh.initializer(origins)
    environment = {**os.environ, **variables}
    ran = subprocess.run(
        [*command, "--yes", str(root)], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def runs(file: str) -> bool:
    """Tell whether a file is for more than type checkers; Vercel's builder leaves those out."""
    return not file.endswith((".pyi", ".typed"))


def vendored(function: BuiltFunction) -> set[str]:
    """Return the files of the package among the packages that Vercel's builder has installed."""
    files = (file.removeprefix("_vendor/") for file in function.files if file.startswith("_vendor/kairo_metrics/"))
    return {file for file in files if not file.endswith(".pyc")}


@pytest.mark.parametrize("origin", ["wheel", "git"])
def test_a_bundle_for_lambda_gets_the_whole_package(origin: str, origins: Origins, tmp_path: Path) -> None:
    """pip installs it for Lambda from the path of a wheel in the project, and from a git address."""
    (tmp_path / "wheels").mkdir()
    shutil.copy(origins.wheel, tmp_path / "wheels")
    line = f"./wheels/{origins.wheel.name}" if origin == "wheel" else f"{origins.git}#egg=kairo-metrics"
    (tmp_path / "requirements.txt").write_text(f"{line}\n")
    command = [sys.executable, "-m", "pip", "install", "--quiet", *FOR_LAMBDA, "--target=bundle"]
    subprocess.run([*command, "--requirement=requirements.txt"], cwd=tmp_path, check=True)
    bundle = tmp_path / "bundle"
    files = (file.relative_to(bundle) for file in (bundle / "kairo_metrics").rglob("*") if file.is_file())
    assert {file.as_posix() for file in files if "__pycache__" not in file.parts} == PACKAGE_FILES
