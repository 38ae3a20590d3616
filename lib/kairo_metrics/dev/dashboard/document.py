"""The dashboard that the page shows: the project's own file, or one that is written for the project."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..grafana.dashboard.dashboard_json import dashboard_json
from ..grafana.system import System

__all__ = ["Document", "document_of"]


@dataclass(frozen=True, slots=True)
class Document:
    """The dashboard of a project.

    Args:
        title: the project's name for people.
        file: the project's own dashboard; None if it has none.
        demo: the project's command that sends requests; empty if it has none.

    Example:
        >>> Document("My Shop").job
        'my-shop-development'
    """

    title: str
    file: Path | None = None
    demo: str = ""

    @property
    def job(self) -> str:
        """The job under which the dev server scrapes the project, and that its scrape config has."""
        own = self._own()
        name = own.get("uid") if isinstance(own.get("uid"), str) else None
        return f"{name or System(job='.*', title=self.title).uid}-development"

    def text(self, prefix: str, without: frozenset[str]) -> str:
        """Return the JSON. The arguments are for a dashboard that is written for the project.

        Args:
            prefix: that of the names of the project's metrics.
            without: the parts that the project does not have.
        """
        if self.file is not None:
            return self.file.read_text(encoding="utf-8")
        job = f"{self.job.removesuffix('development')}.*"
        return dashboard_json(System(job=job, title=self.title, prefix=prefix, without=without))

    def _own(self) -> dict[str, Any]:
        try:
            found = json.loads(self.file.read_text(encoding="utf-8")) if self.file else {}
        except (OSError, ValueError):
            return {}  # the page shows what is wrong with the file
        return found if isinstance(found, dict) else {}


def document_of(root: Path) -> Document:
    """Return the dashboard of the project in `root`: the first `grafana/*dashboard*.json`, or one to write."""
    file = next(iter(sorted((root / "grafana").glob("*dashboard*.json"))), None)
    return Document(_name(root), file, _demo(root))


def _name(root: Path) -> str:
    """Return the name in pyproject.toml or package.json, else that of the folder, with spaces and capitals."""
    found = root.resolve().name
    for file, read in (("package.json", _in_package), ("pyproject.toml", _in_pyproject)):
        try:
            found = read((root / file).read_text(encoding="utf-8")) or found
        except (OSError, ValueError, TypeError, AttributeError):
            continue  # no such file, or one of another form: the name is not worth an error
    words = "".join(letter if letter.isprintable() else " " for letter in found).replace("-", " ").replace("_", " ")
    return " ".join(word[:1].upper() + word[1:] for word in words.split()) or "This Project"


def _demo(root: Path) -> str:
    try:
        lines = (root / "Makefile").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return ""
    return "make demo" if any(line.startswith("demo:") for line in lines) else ""


def _in_pyproject(text: str) -> str:
    data = tomllib.loads(text)
    return str(data.get("project", {}).get("name") or data.get("tool", {}).get("poetry", {}).get("name") or "")


def _in_package(text: str) -> str:
    return str(json.loads(text).get("name") or "").rpartition("/")[2]
