"""The page of `/dashboard`: scripts that a linter accepts, and unchanged releases of libraries."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.dev_server import REPOSITORY

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
VIEWER = REPOSITORY / "lib" / "kairo_metrics" / "dev" / "dashboard" / "viewer"
VENDORED = {
    "uplot.js": "uplot/dist/uPlot.esm.js",
    "uplot.css": "uplot/dist/uPlot.min.css",
    "uplot.LICENSE": "uplot/LICENSE",
    "marked.js": "marked/lib/marked.esm.js",
    "marked.LICENSE": "marked/LICENSE",
    "inter.woff2": "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
    "inter.LICENSE": "@fontsource-variable/inter/LICENSE",
}


@pytest.fixture(autouse=True)
def _tools() -> None:
    if shutil.which("node") is None or not (MODULES / ".bin" / "eslint").exists():
        pytest.skip("install Node.js with npm, and run make test")


def test_a_linter_accepts_every_script() -> None:
    """Each script of the page parses, uses every name that it declares, and has one style."""
    eslint, config = MODULES / ".bin" / "eslint", HERE / "eslint.config.js"
    command = [str(eslint), "--max-warnings=0", "--config", str(config), "lib/kairo_metrics/dev/dashboard/viewer"]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert len(list(VIEWER.rglob("*.js"))) > 15


def test_the_page_has_one_style() -> None:
    """Scripts, styles and markup are formatted."""
    prettier, config = MODULES / ".bin" / "prettier", HERE / "prettier.json"
    files = [str(file) for kind in ("js", "css", "html") for file in VIEWER.rglob(f"*.{kind}")]
    own = [file for file in files if "vendor" not in file]
    command = [str(prettier), "--config", str(config), "--check", *own]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("name", VENDORED)
def test_what_is_vendored_is_the_release(name: str) -> None:
    """Each library is the file in npm with the version in package.json, with its licence."""
    assert (VIEWER / "vendor" / name).read_bytes() == (MODULES / VENDORED[name]).read_bytes()


def test_nothing_else_is_vendored() -> None:
    """The folder has only these files, in the versions of its list."""
    assert {file.name for file in (VIEWER / "vendor").iterdir()} == {*VENDORED, "README.md"}
    wanted = json.loads((HERE / "package.json").read_text())["devDependencies"]
    listed = (VIEWER / "vendor" / "README.md").read_text()
    for package in ("uplot", "marked", "@fontsource-variable/inter"):
        assert f"| `{package}` | {wanted[package]} |" in listed
