"""The image of the Dockerfile, built once for the whole run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deployment.hosts.image import Image, build
from tests.deployment.platform.project import THIS_REPOSITORY
from tests.support.once import Once


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clean copy of the tracked files, together with files that must not be deployed."""
    folder = tmp_path_factory.mktemp("clone")
    THIS_REPOSITORY.copy(folder)
    (folder / "lib" / "kairo_metrics" / "__pycache__").mkdir()
    (folder / "lib" / "kairo_metrics" / "__pycache__" / "old.cpython-312.pyc").write_text("old")
    return folder


@pytest.fixture(scope="session")
def image(clone: Path, once: Once) -> Image:
    """Return the image of the Dockerfile, built from the clean copy without an engine."""
    return once("image", lambda folder: build(clone, folder))
