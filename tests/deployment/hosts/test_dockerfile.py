"""The Dockerfile, step by step."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.deployment.hosts.image import Image
from tests.deployment.platform.project import DECOY
from tests.support.dev_server import REPOSITORY

LINTER = Path(sys.executable).parent / "hadolint"
SETTINGS = {"ENABLE_METRICS": "true", "METRICS_AUTH_TOKEN": "a-token"}


def test_the_linter_finds_nothing() -> None:
    """hadolint, a linter for Dockerfiles and shell commands, finds nothing."""
    command = [str(LINTER), "--failure-threshold", "style", str(REPOSITORY / "Dockerfile")]
    linted = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_the_linter_would_find_something(tmp_path: Path) -> None:
    """hadolint finds an image without a version and a fault in a shell command."""
    (tmp_path / "Dockerfile").write_text("FROM python:latest\nCMD python -m lib.kairo_metrics serve\n")
    linted = subprocess.run([str(LINTER), str(tmp_path / "Dockerfile")], capture_output=True, text=True, check=False)
    assert linted.returncode == 1
    assert {"DL3007", "DL3025"} <= set(re.findall(r"DL\d+", linted.stdout))


@pytest.mark.long
def test_the_base_is_the_python_that_is_deployed_everywhere(image: Image) -> None:
    """Vercel, Heroku and the image run the same Python."""
    version = (REPOSITORY / ".python-version").read_text().strip()
    assert re.fullmatch(rf"python:{re.escape(version)}-slim-\w+@sha256:\w+", image.base)


@pytest.mark.long
def test_it_is_not_root(image: Image) -> None:
    """The user is a number other than 0, which Kubernetes needs for runAsNonRoot."""
    user, group = map(int, image.user.split(":"))
    assert user > 0
    assert group > 0


@pytest.mark.long
def test_only_what_runs_goes_into_the_image(image: Image) -> None:
    """The image has no tests, docs, tools, secrets and locally compiled files."""
    files = [file for file in image.folder.rglob("*") if file.is_file()]
    assert {file.relative_to(image.folder).parts[0] for file in files} == {
        "api",
        "lib",
        "requirements.txt",
        "vercel.json",
    }
    assert {file.suffix for file in files} == {".json", ".lua", ".py", ".pyc", ".txt", ".typed"}
    assert not any(file.name.startswith("old.") for file in files)
    for file in files:
        assert DECOY.encode() not in file.read_bytes()


@pytest.mark.long
def test_a_command_of_the_dev_server_says_what_is_missing(image: Image) -> None:
    """`dev` and `grafana` are not in the image: one line says so."""
    for arguments in (["dev"], ["grafana", "--job", "shop", "--title", "Shop", "--out", "out"]):
        command = [sys.executable, "-m", "lib.kairo_metrics", *arguments]
        ran = subprocess.run(command, cwd=image.folder, capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr == "this copy of the package has no folder dev/, as in the Docker image: use a whole copy\n"


@pytest.mark.long
def test_it_serves_and_counts_and_writes_nothing(image: Image, redis_url: str) -> None:
    """The image's command serves the functions, ends with 0 on SIGTERM, and does not change its folder."""
    before = {file: file.stat().st_mtime_ns for file in image.folder.rglob("*")}
    with image.run({**SETTINGS, "REDIS_URL": redis_url}) as server:
        assert httpx.get(f"{server.url}/api/content", headers={"X-Tenant": "acme"}).is_success
        page = httpx.get(f"{server.url}/metrics", headers={"Authorization": "Bearer a-token"})
        assert page.is_success
        assert "kairo_store_info" in page.text
        assert server.stop() == 0, server.output
    with image.run({**SETTINGS, "REDIS_URL": redis_url}) as server:
        page = httpx.get(f"{server.url}/metrics", headers={"Authorization": "Bearer a-token"})
        assert 'http_requests_total{method="GET",route="/api/content",status="200"} 1\n' in page.text
    assert {file: file.stat().st_mtime_ns for file in image.folder.rglob("*")} == before


@pytest.mark.long
def test_the_health_check_tells_alive_from_dead(image: Image) -> None:
    """The health check passes while the server answers, even without Redis, and fails if it does not."""
    with image.run({**SETTINGS, "REDIS_URL": "redis://127.0.0.1:1"}) as server:
        assert image.health(server) == 0
        server.stop()
        assert image.health(server) == 1
