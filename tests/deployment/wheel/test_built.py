"""`make wheel` and `make sbom`: the files that a release has, and what an empty environment does with them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.kairo_metrics.dev.grafana.system import System
from lib.kairo_metrics.dev.grafana.system_files import files_of
from lib.kairo_metrics.dev.grafana.thresholds import Thresholds
from tests.support.dev_server import REPOSITORY

MAKEFILE = (REPOSITORY / "Makefile").read_text()
LIB = REPOSITORY / "lib"
EXAMPLES = REPOSITORY / "examples"
# The supported versions of Python. Those that this machine has are tested; CI has all.
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
UV = (sys.executable, "-m", "uv")
TOKEN = "a-token"


def recipe(target: str) -> list[str]:
    """Return the commands of a target of the Makefile, with this interpreter's programs."""
    text = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert text
    lines = text[1].replace("\\\n", " ").replace("\t@", "\t").replace("$(BIN)", str(Path(sys.executable).parent))
    return [line.strip() for line in lines.replace("$(SBOM)", sbom_package()).split("\n\t")]


def interpreters() -> list[str]:
    """Return the interpreters of this machine that run; a version manager also has names of others."""
    found = [path for version in VERSIONS if (path := shutil.which(f"python{version}"))]
    return [
        path for path in found if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0
    ]


def sbom_package() -> str:
    """Return the program that lists the packages, with its version."""
    found = re.search(r"^SBOM := (\S+==\S+)$", MAKEFILE, re.MULTILINE)
    assert found
    return found[1]


def repository(folder: Path) -> Path:
    """Copy what the build reads into a folder."""
    folder.mkdir()
    shutil.copytree(LIB, folder / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(REPOSITORY / "requirements-dev.txt", folder / "requirements-dev.txt")
    return folder


def build(folder: Path) -> Path:
    """Run the recipe of `make wheel` in a copy, and return its `dist/`."""
    subprocess.run(recipe("wheel")[0], cwd=folder, shell=True, check=True)
    return folder / "dist"


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The built files."""
    root = tmp_path_factory.mktemp("wheel")
    yield build(repository(root / "repository"))
    shutil.rmtree(root)


@pytest.mark.long
def test_two_builds_give_the_same_bytes(dist: Path, tmp_path: Path) -> None:
    """Who builds a release again gets its very files: neither time nor rights nor leftovers of a run are in them."""
    other = repository(tmp_path / "elsewhere")
    for number, file in enumerate(sorted((other / "lib").rglob("*"))):
        os.utime(file, (1_000_000_000 + number, 1_000_000_000 + number))
        file.chmod(0o700 if file.is_dir() else 0o600)
    (other / "lib" / "kairo_metrics" / "__pycache__").mkdir()
    (other / "lib" / "kairo_metrics" / "__pycache__" / "errors.cpython-312.pyc").write_bytes(b"compiled")
    again = build(other)
    built = {file.name: file.read_bytes() for file in dist.iterdir() if file.suffix in {".whl", ".gz"}}
    assert sorted(name.rpartition(".")[2] for name in built) == ["gz", "whl"]
    assert {name: (again / name).read_bytes() == content for name, content in built.items()} == dict.fromkeys(
        built, True
    )


def test_both_hold_the_package_and_nothing_else(dist: Path) -> None:
    """No test, no key and nothing of the content API is in a release."""
    [wheel] = dist.glob("*.whl")
    [sdist] = dist.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        rooms = {name.split("/")[0] for name in archive.namelist()}
        files = {name for name in archive.namelist() if name.startswith("kairo_metrics/")}
    assert rooms == {"kairo_metrics", f"{wheel.name.split('-py3')[0]}.dist-info"}
    with tarfile.open(sdist) as archive:
        top = sdist.name.removesuffix(".tar.gz")
        members = {name.removeprefix(f"{top}/") for name in archive.getnames()}
    assert {name for name in members if not name.startswith("kairo_metrics/")} <= {
        "pyproject.toml",
        "PKG-INFO",
        ".gitignore",
    }
    assert {name for name in members if name.startswith("kairo_metrics/")} == files


@pytest.mark.long
def test_the_bill_of_materials_names_what_is_installed(dist: Path) -> None:
    """`make sbom` lists the package's dependencies with their versions, in CycloneDX."""
    for command in recipe("sbom"):
        subprocess.run(command, cwd=dist.parent, shell=True, check=True)
    bill = json.loads((dist / "sbom.cdx.json").read_text())
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "kairo-metrics")
    named = {component["name"]: component["version"] for component in bill["components"]}
    assert {"prometheus_client", "redis", "starlette"} <= named.keys()
    assert all(re.match(r"\d+\.", version) for version in named.values())


@pytest.mark.long
def test_the_installed_command_writes_dashboard_and_rules(dist: Path, tmp_path: Path) -> None:
    """In an empty environment with the wheel alone, `kairo-metrics grafana` writes the files of a user's own system."""
    [wheel] = dist.glob("*.whl")
    environment = tmp_path / "environment"
    subprocess.run([*UV, "venv", "--quiet", "--python", sys.executable, str(environment)], check=True)
    subprocess.run([*UV, "pip", "install", "--quiet", "--python", str(environment), str(wheel)], check=True)
    command = [str(environment / "bin" / "kairo-metrics"), "grafana", "--job", "shop-.*", "--title", "Shop"]
    command += ["--prefix", "shop_", "--threshold", "latency_s=0.5", "--out", "monitoring"]
    ran = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    expected = files_of(System("shop-.*", "Shop", prefix="shop_", thresholds=Thresholds(latency_s=0.5)))
    assert {name: (tmp_path / "monitoring" / name).read_text() for name in expected} == expected
    assert "#   kairo-metrics grafana --job 'shop-.*' --title Shop --prefix shop_" in expected["rules/alerts.yml"]


@pytest.mark.long
@pytest.mark.parametrize("kind", ["whl", "tar.gz"])
@pytest.mark.parametrize("interpreter", interpreters(), ids=lambda path: Path(path).name)
def test_an_empty_environment_runs_the_examples(
    interpreter: str, kind: str, dist: Path, tmp_path: Path, redis_url: str
) -> None:
    """Installed from either file, the examples of Flask and of SQS on Lambda count, and `show` prints the counts."""
    [file] = dist.glob(f"*.{kind}")
    environment = tmp_path / "environment"
    subprocess.run([*UV, "venv", "--quiet", "--python", interpreter, str(environment)], check=True)
    python = environment / "bin" / "python"
    subprocess.run([*UV, "pip", "install", "--quiet", "--python", str(python), str(file), "flask"], check=True)
    for source in (EXAMPLES / "lambda_sqs" / "worker.py", EXAMPLES / "flask" / "api" / "orders.py"):
        (tmp_path / source.name).write_text(source.read_text().replace("lib.kairo_metrics", "kairo_metrics"))
    variables = {"ENABLE_METRICS": "true", "REDIS_URL": redis_url, "PATH": os.environ["PATH"]}

    def run(*arguments: str) -> str:
        command = [str(python), *arguments]
        ran = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    message = json.dumps({"messageId": "1", "body": json.dumps({"number": 7})})
    run("-c", f"import worker; worker.handler({{'Records': [{message}]}}, None)")
    run("-c", "import orders; assert orders.app.test_client().get('/api/orders/1').get_data()")
    for family in ("orders_packed_total", "order_lookups_total", "http_requests_total"):
        shown = run("-m", "kairo_metrics", "show", family)
        assert re.search(r"\b1$", shown, re.MULTILINE), shown
