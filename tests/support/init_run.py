"""Running `init` in small projects."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lib.kairo_metrics.cli import main
from tests.support.command_run import Output
from tests.support.dev_server import REPOSITORY

__all__ = [
    "EXAMPLES",
    "FASTAPI",
    "FLASK",
    "GITHUB_PYTHON",
    "HANDLER",
    "QUESTION",
    "VERCEL",
    "Init",
    "contents",
    "init",
    "shop",
    "write",
]

QUESTION = "Write these changes? [y/N] "
FASTAPI = "from fastapi import FastAPI\n\napp = FastAPI()\n"
FLASK = "from flask import Flask\n\napp = Flask(__name__)\n"
HANDLER = "from http.server import BaseHTTPRequestHandler\n\n\nclass handler(BaseHTTPRequestHandler): ...\n"
VERCEL = """{
    "regions": ["iad1"],
    "functions": { "api/*.py": { "memory": 512 } },
    "rewrites": [
        { "source": "/(.*)", "destination": "/api/index" }
    ],
    "headers": []
}
"""
# The lines of GitHub's template for Python that matter here.
GITHUB_PYTHON = "__pycache__/\nbuild/\ndist/\nlib/\nlib64/\n*.egg-info/\n.env\n"
Init = Callable[..., Output]
EXAMPLES = REPOSITORY / "examples"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a project that copied the package, and has one FastAPI function."""
    root = tmp_path / "shop"
    package = Path("lib", "kairo_metrics")
    shutil.copytree(REPOSITORY / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    write(root, {"api/index.py": FASTAPI, "requirements.txt": "fastapi\n"})
    return root


@pytest.fixture
def init(capsys: pytest.CaptureFixture[str]) -> Init:
    """Give a function that runs `init` without a terminal."""

    def run(root: Path, *arguments: str) -> Output:
        code = main(["init", str(root), *arguments])
        return Output(code, *capsys.readouterr())

    return run


def write(root: Path, files: dict[str, str]) -> None:
    """Write files into a project."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def contents(root: Path) -> dict[str, bytes]:
    """Return the files of a project, without the package."""
    files = (file for file in root.rglob("*") if file.is_file())
    found = {file.relative_to(root).as_posix(): file.read_bytes() for file in files}
    return {name: content for name, content in found.items() if not name.startswith(("lib/kairo_metrics/", ".git/"))}
