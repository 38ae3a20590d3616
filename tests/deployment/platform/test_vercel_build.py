"""The parts of a deployment to Vercel."""

from __future__ import annotations

import re

import pytest

from tests.deployment.platform.deployment import Deployment
from tests.deployment.platform.project import DECOY, tracked
from tests.deployment.platform.vercel_router import route
from tests.support.dev_server import REPOSITORY

# Eight megabytes that Vercel's builder adds to every function, and that can't be excluded.
_BUILDER = {"pip", "vercel_runtime"}
# A line of requirements.txt, and a package in a function.
_LOCKED = re.compile(r"([\w.-]+)==([^\s;]+)")
_SHIPPED = re.compile(r"_vendor/(\w+)-([^/]+)\.dist-info/METADATA$")


def test_nothing_is_uploaded_but_what_is_built() -> None:
    """`vercel deploy` uploads no tests, documents or tools."""
    ignored = tracked(REPOSITORY, "--cached", "--ignored", "--exclude-from=.vercelignore")
    uploaded = {file.partition("/")[0] for file in tracked(REPOSITORY) - ignored}
    assert uploaded == {".python-version", "api", "lib", "public", "requirements.txt", "vercel.json"}


def test_every_file_in_api_becomes_a_function(deployment: Deployment) -> None:
    """Each file in api/ is deployed as a function with its time limit."""
    files = (deployment.project.source / "api").glob("*.py")
    functions = deployment.build.functions
    assert set(functions) == {f"api/{file.stem}" for file in files}
    assert {function.settings["maxDuration"] for function in functions.values()} == {30}
    assert {function.settings["runtime"] for function in functions.values()} == {"python3.12"}


def test_no_source_is_published(deployment: Deployment) -> None:
    """The site serves only functions: no source, setting or test can be downloaded."""
    assert deployment.build.static == {".gitkeep"}
    for path in ("/lib/kairo_metrics/__init__.py", "/requirements.txt", "/vercel.json", "/.env", "/tests/conftest.py"):
        assert route(deployment.build, path).status == 404


@pytest.mark.parametrize("path", ["/metrics", "/api/metrics"])
def test_both_paths_lead_to_the_page(deployment: Deployment, path: str) -> None:
    """/metrics and /api/metrics serve the page, and no cache on the way keeps it."""
    found = route(deployment.build, path)
    assert found.function == "api/metrics"
    assert dict(found.headers) == {"Cache-Control": "private, no-store"}


def test_the_root_leads_to_the_page(deployment: Deployment) -> None:
    """A browser that opens / is told what this is, by the page."""
    assert route(deployment.build, "/").function == "api/metrics"


def test_a_watched_path_leads_to_its_function(deployment: Deployment) -> None:
    """A client's request reaches the watched function."""
    assert route(deployment.build, deployment.project.request[1]).function == deployment.project.watched


def test_a_function_ships_what_runs_and_nothing_else(deployment: Deployment) -> None:
    """A function has its code, the library and its dependencies, and no tests, documents or secrets."""
    for function in deployment.build.functions.values():
        own = {file for file in function.files if not file.startswith("_vendor/")}
        assert {file.partition("/")[0] for file in own} == {"api", "lib", "vc__handler__python.py"}
        assert {file.rpartition(".")[2] for file in own} == {"lua", "py", "typed"}
        for file in own:
            assert DECOY not in (function.root / file).read_text()


def test_the_list_with_hashes_is_what_is_installed(deployment: Deployment) -> None:
    """Vercel's builder takes a `requirements.txt` with hashes: a function has each package in the locked version."""
    lines = (deployment.project.source / "requirements.txt").read_text().replace("\\\n", " ").splitlines()
    locked = {found[1].lower().replace("-", "_"): found[2] for line in lines if (found := _LOCKED.match(line))}
    assert locked.keys() >= {"redis", "prometheus_client", "starlette"}
    assert all("--hash=sha256:" in line for line in lines if _LOCKED.match(line))
    for function in deployment.build.functions.values():
        shipped = {found[1]: found[2] for file in function.files if (found := _SHIPPED.match(file))}
        assert shipped.keys() >= {"redis", "prometheus_client", "starlette"}
        named = {name.lower(): version for name, version in shipped.items() if name not in _BUILDER}
        assert {name: locked.get(name) for name in named} == named


def test_a_function_is_small(deployment: Deployment) -> None:
    """A function has few megabytes to load, less than four of them for metrics."""
    for function in deployment.build.functions.values():
        weights = function.megabytes()
        own = {entry: weight for entry, weight in weights.items() if entry not in _BUILDER}
        assert sum(own.values()) < deployment.project.megabytes, own
        assert weights["redis"] + weights["prometheus_client"] + weights["lib"] < 4
