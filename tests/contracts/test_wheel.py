"""The package as its wheel installs it: under the name `kairo_metrics`, without the folder `lib`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

LIB = Path(__file__).parents[2] / "lib"


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
