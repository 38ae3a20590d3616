"""The image that the Dockerfile makes, once for the whole run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deployment.hosts.image import Image, build
from tests.deployment.platform.project import PROJECTS
from tests.support.once import Once


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a clean copy of what git tracks, between files that must not be deployed."""
    folder = tmp_path_factory.mktemp("clone")
    PROJECTS["repository"].copy(folder)
    (folder / "lib" / "kairo_metrics" / "__pycache__").mkdir()
    (folder / "lib" / "kairo_metrics" / "__pycache__" / "old.cpython-312.pyc").write_text("old")
    return folder


@pytest.fixture(scope="session")
def image(clone: Path, once: Once) -> Image:
    """Give the image of the Dockerfile, built by hand from the clean copy."""
    return once("image", lambda folder: build(clone, folder))
