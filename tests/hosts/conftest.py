"""The image that the Dockerfile makes, once for the whole run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.image import Image, build
from tests.platform.project import PROJECTS


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a clean copy of what git tracks, between files that must not be deployed."""
    folder = tmp_path_factory.mktemp("clone")
    PROJECTS["repository"].copy(folder)
    (folder / "lib" / "kairo_metrics" / "__pycache__").mkdir()
    (folder / "lib" / "kairo_metrics" / "__pycache__" / "old.cpython-312.pyc").write_text("old")
    return folder


@pytest.fixture(scope="session")
def image(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Give the image of the Dockerfile, built by hand from the clean copy."""
    target = tmp_path_factory.mktemp("image")
    yield build(clone, target)
    shutil.rmtree(target)  # it holds the installed packages, and pytest keeps folders for three runs
