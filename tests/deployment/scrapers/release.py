"""A release of Prometheus, with the files that the project publishes."""

from __future__ import annotations

import hashlib
import platform
import shutil
import tarfile
from pathlib import Path

from tests.support.prometheus_server import require


def release(folder: Path, version: str) -> Path:
    """Build a release with the files that the project publishes; its programs call the real ones."""
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    name = f"prometheus-{version}.linux-{architecture}"
    place = folder / f"v{version}"
    (place / name).mkdir(parents=True)
    for program in ("prometheus", "promtool"):
        (place / name / program).write_text(f'#!/bin/sh\nexec {require(program)} "$@"\n')
        (place / name / program).chmod(0o755)
    archive = place / f"{name}.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(place / name, name)
    shutil.rmtree(place / name)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    other = f"{'0' * 64}  prometheus-{version}.darwin-{architecture}.tar.gz\n"
    (place / "sha256sums.txt").write_text(f"{other}{digest}  {archive.name}\n")
    return archive
