"""The bundle for AWS Lambda."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.metadata import files
from pathlib import Path

import pytest

from tests.deployment.platform.lambda_events import Call
from tests.deployment.platform.lambda_requests import ask, create, scrape, variables
from tests.deployment.platform.lambda_runtime import REPOSITORY, lambda_function

pytestmark = pytest.mark.long

BUNDLE = REPOSITORY / "deploy" / "aws" / "bundle.py"
# The packages in Lambda's runtime that the runtime client needs.
RUNTIME = ("awslambdaric", "simplejson", "snapshot-restore-py")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the bundle."""
    target = tmp_path_factory.mktemp("bundle") / "lambda"
    built = subprocess.run([sys.executable, BUNDLE, "--target", target], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return target


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with only AWS's runtime client."""
    folder = tmp_path_factory.mktemp("runtime")
    for package in RUNTIME:
        for file in files(package) or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), folder / file)
    return folder


def test_the_bundle_holds_what_runs_and_nothing_else(bundle: Path) -> None:
    """Functions, library and packages, without tests, documents, secrets and the AWS SDK; small enough for Lambda."""
    names = {path.name for path in bundle.iterdir()}
    assert names >= {"api", "lib", "mangum", "prometheus_client", "redis", "starlette"}
    assert not names & {"benchmarks", "bin", "boto3", "botocore", "deploy", "docs", "grafana", "pytest", "tests"}
    assert not [path for path in bundle.rglob("*") if path.name.startswith(".") or path.suffix in {".sqlite3", ".toml"}]
    assert (bundle / "lib" / "kairo_metrics" / "store" / "lua" / "apply.lua").exists()
    assert {path.stem for path in (bundle / "api").glob("*.py")} == {"content", "health", "metrics", "push"}
    assert len(list((bundle / "lib").rglob("*.pyc"))) == len(list((bundle / "lib").rglob("*.py")))
    assert sum(path.stat().st_size for path in bundle.rglob("*")) < 250e6


def test_the_upload_has_the_size_that_the_guide_names(bundle: Path, tmp_path: Path) -> None:
    """A user who reads deploy/aws/README.md knows what an upload takes; versions of packages change it a little."""
    [named] = re.findall(r"(\d+) MB\nzipped", (REPOSITORY / "deploy" / "aws" / "README.md").read_text())
    archive = shutil.make_archive(str(tmp_path / "upload"), "zip", bundle)
    assert Path(archive).stat().st_size / 1e6 == pytest.approx(int(named), rel=0.1)


def test_the_bundle_runs_on_its_own(bundle: Path, runtime: Path, redis_url: str, tmp_path: Path) -> None:
    """The functions in the bundle work with only Python and the runtime client of this machine."""
    environment = variables(redis_url, tmp_path, PYTHONPATH=str(runtime))
    alone = (sys.executable, "-S")  # without this environment's packages
    with lambda_function("api.content.handler", environment, bundle=bundle, python=alone) as content:
        assert ask(content, create()).status == 201
    with lambda_function("api.metrics.handler", environment, bundle=bundle, python=alone) as metrics:
        page = ask(metrics, scrape()).text
    assert 'http_requests_total{method="POST",route="/api/content",status="201"} 1\n' in page
    with lambda_function("api.health.handler", environment, bundle=bundle, python=alone) as health:
        assert ask(health, Call("GET", "/api/health?ready=1")).status == 200


def test_a_folder_that_is_no_bundle_is_not_replaced(tmp_path: Path) -> None:
    """A wrong target folder is not deleted."""
    (tmp_path / "precious").touch()
    built = subprocess.run([sys.executable, BUNDLE, "--target", tmp_path], capture_output=True, text=True, check=False)
    assert (built.returncode, "exists and is not an earlier bundle" in built.stderr) == (2, True)
    assert (tmp_path / "precious").exists()
