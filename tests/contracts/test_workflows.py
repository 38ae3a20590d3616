"""The workflows of CI: GitHub understands them, they call targets that exist, and cover what is supported."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.dev_server import REPOSITORY
from tests.support.matrix_rows import ROWS

pytestmark = pytest.mark.slow

WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (REPOSITORY / "Makefile").read_text()


def workflow(name: str) -> dict[str, Any]:
    """Return a parsed workflow."""
    parsed: dict[str, Any] = yaml.safe_load((REPOSITORY / ".github" / "workflows" / f"{name}.yml").read_text())
    return parsed


def commands(parsed: dict[str, Any]) -> list[str]:
    """Return what the steps of a workflow run."""
    return [step["run"] for job in parsed["jobs"].values() for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_is_valid(file: Path) -> None:
    """It fits GitHub's schema, so that a typing error does not switch a check off."""
    checker = Path(sys.executable).parent / "check-jsonschema"
    command = [str(checker), "--builtin-schema", "vendor.github-workflows", str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_calls_targets_that_exist(file: Path) -> None:
    """What CI runs, a developer can run with the same words."""
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    called = [
        word for run in commands(yaml.safe_load(file.read_text())) for word in re.findall(r"make ((?:[a-z-]+ ?)+)", run)
    ]
    assert {target for words in called for target in words.split()} - targets == set()


def test_every_job_has_the_least_rights_and_an_end() -> None:
    """No job may write by default, and none runs for hours."""
    for file in WORKFLOWS:
        parsed = yaml.safe_load(file.read_text())
        assert parsed["permissions"] == {"contents": "read"}, file
        assert all("timeout-minutes" in job for job in parsed["jobs"].values()), file


def test_ci_tests_each_supported_python() -> None:
    """The first version is the oldest that the package allows; the wheel is installed into each that it names."""
    [job] = [job for name, job in workflow("ci")["jobs"].items() if name == "test"]
    project = tomllib.loads((REPOSITORY / "lib" / "pyproject.toml").read_text())["project"]
    assert f">={job['strategy']['matrix']['python'][0]}" == project["requires-python"]
    [setup] = [step for step in job["steps"] if "setup-python" in step.get("uses", "")]
    listed = [found[1] for line in project["classifiers"] if (found := re.search(r"Python :: (3\.\d+)$", line))]
    assert listed == ["3.11", "3.12", "3.13", "3.14"]
    assert set(listed) <= set(setup["with"]["python-version"].split())


def test_each_week_the_newest_of_every_library_is_tried() -> None:
    """A row of the matrix with the newest version is in the weekly run, for each library that an app brings."""
    libraries = workflow("weekly")["jobs"]["newest"]["strategy"]["matrix"]["library"]
    assert {f"{library}-newest" for library in libraries} <= {row.name for row in ROWS}
    assert set(libraries) == {"prometheus-client", "redis", "starlette", "fastapi", "flask", "django"}


def test_a_release_is_attested_before_it_is_published() -> None:
    """The files and their bill of materials have an attestation, and only the last job may write."""
    jobs = workflow("release")["jobs"]
    attested = [step["with"] for step in jobs["build"]["steps"] if "actions/attest@" in step.get("uses", "")]
    assert [sorted(one) for one in attested] == [["subject-path"], ["sbom-path", "subject-path"]]
    assert jobs["build"]["permissions"] == {"contents": "read", "id-token": "write", "attestations": "write"}
    assert (jobs["publish"]["needs"], jobs["publish"]["permissions"]) == ("build", {"contents": "write"})


def test_the_script_that_installs_a_server_is_sound() -> None:
    """Shellcheck finds nothing in it."""
    command = [Path(sys.executable).parent / "shellcheck", REPOSITORY / ".github" / "server.sh"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
