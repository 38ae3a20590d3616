"""The package as its wheel installs it: under the name `kairo_metrics`, without the folder `lib`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
LIB = REPOSITORY / "lib"
# A name that an index is asked for; a wheel's file and a git address have more behind it.
FROM_AN_INDEX = re.compile(r"(?:install|add)\s+(?:-\S+\s+)*[\"'`]?kairo[-_]metrics(?!\s*@|-\d)")


@pytest.mark.long
def test_the_examples_of_the_docstrings_hold_in_the_wheel(tmp_path: Path) -> None:
    """Every example in a docstring works in a program that has installed the wheel."""
    wheel = tomllib.loads((LIB / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel == {"packages": ["kairo_metrics"]}  # so the wheel holds this folder, whole
    shutil.copytree(LIB / "kairo_metrics", tmp_path / "kairo_metrics", ignore=shutil.ignore_patterns("__pycache__"))
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--doctest-modules", "--import-mode=importlib"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "kairo_metrics"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_no_message_and_no_document_names_an_index_that_lacks_the_package() -> None:
    """Whoever copies an advice gets a package: its own name is on no index, and neither are its extras."""
    assert FROM_AN_INDEX.search("needs uvicorn: pip install 'kairo-metrics[serve]'")
    assert FROM_AN_INDEX.search("uv add --dev kairo_metrics")
    assert not FROM_AN_INDEX.search("pip install kairo_metrics-0.1.0-py3-none-any.whl")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    files = [
        REPOSITORY / name for name in listed.stdout.split("\0") if name.endswith((".py", ".md", ".toml", "Makefile"))
    ]
    texts = {file: file.read_text() for file in files if file.exists() and file != Path(__file__)}
    assert {str(file): found[0] for file, text in texts.items() if (found := FROM_AN_INDEX.search(text))} == {}
