"""What is downloaded from elsewhere is pinned: actions by commit, images by digest, packages by hash."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.dev_server import REPOSITORY

pytestmark = pytest.mark.slow

# Built by whoever deploys it; no registry has it.
_OWN_IMAGES = {"kairo-cms:local"}
_FILES = (
    *("compose.yaml", ".github/workflows/*.yml"),
    *("deploy/**/*.yaml", "deploy/**/*.yml", "examples/**/*.yaml", "examples/**/*.yml"),
)


def values_of(document: Any, key: str) -> Iterator[str]:
    """Yield every value of a key, at any depth."""
    if isinstance(document, dict):
        if isinstance(document.get(key), str):
            yield document[key]
        document = list(document.values())
    for part in document if isinstance(document, list) else ():
        yield from values_of(part, key)


def test_every_action_is_a_commit() -> None:
    """A tag of an action that is moved to other code does not change what CI runs."""
    workflows = sorted((REPOSITORY / ".github" / "workflows").glob("*.y*ml"))
    used = [use for file in workflows for use in values_of(yaml.safe_load(file.read_text()), "uses")]
    assert len(used) >= 3
    assert [use for use in used if not re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", use)] == []


def test_every_image_is_a_digest() -> None:
    """A tag of an image that is moved to other content does not change what is run."""
    images: list[str] = []
    for file in (file for pattern in _FILES for file in REPOSITORY.glob(pattern)):
        text = file.read_text()
        if "image:" in text:
            for document in yaml.safe_load_all(text):
                images += values_of(document, "image")
    for file in REPOSITORY.rglob("Dockerfile"):
        if "node_modules" not in file.parts:
            images += re.findall(r"^FROM (\S+)", file.read_text(), re.MULTILINE)
    foreign = [image for image in images if image not in _OWN_IMAGES]
    assert len(foreign) >= 4
    assert [image for image in foreign if not re.fullmatch(r"\S+:\S+@sha256:[0-9a-f]{64}", image)] == []


def test_a_package_that_was_changed_is_not_installed(tmp_path: Path) -> None:
    """pip, which the image, Heroku and the bundle for AWS use, refuses a package whose content is not the lock's."""
    locked = (REPOSITORY / "requirements.txt").read_text().replace("\\\n", "")
    entries = {entry.partition("==")[0]: entry for entry in locked.splitlines()}
    assert [name for name, entry in entries.items() if "--hash=sha256:" not in entry] == []
    for content, code in ((entries["idna"], 0), (re.sub(r"sha256:\w+", f"sha256:{'0' * 64}", entries["idna"]), 1)):
        (tmp_path / "requirements.txt").write_text(content)
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "-r", "requirements.txt", "--dest", "packages"]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ran.returncode == code, ran.stderr
    assert "DO NOT MATCH THE HASHES" in ran.stderr
