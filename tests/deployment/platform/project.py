"""The projects that the tests deploy: this repository, and the example of a user's own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.dev_server import REPOSITORY

__all__ = ["DECOY", "EXAMPLE", "PROJECTS", "Project", "copy_library", "copy_tracked", "tracked"]

EXAMPLE = REPOSITORY / "examples" / "fastapi"

# Stands in files that must not be shipped, and in no other.
DECOY = "decoy of a secret"
_DECOYS = (
    ".env",
    ".env.production",
    "api/.env",
    "docs/secret.md",
    "lib/.env.local",
    "metrics-token",
    "notes/passwords.txt",
    "scripts/deploy.py",
    "tests/test_secret.py",
)


@dataclass(frozen=True, slots=True)
class Project:
    """A project with one watched function, and a request for it.

    Args:
        source: its folder.
        watched: the name of the function.
        request: method and path.
        sent: headers and body of the request, as httpx takes them.
        route: the template under which the request is counted.
        own_sample: a sample beyond those of HTTP that the request counts by one.
        megabytes: what a function of it may weigh, unpacked, beside what Vercel's builder puts into each.
    """

    source: Path
    watched: str
    request: tuple[str, str]
    route: str
    own_sample: str
    megabytes: int
    sent: Mapping[str, Any] = field(default_factory=dict)

    @property
    def requests_sample(self) -> str:
        """The sample that counts its requests."""
        return f'http_requests_total{{method="{self.request[0]}",route="{self.route}",status="200"}}'

    def copy(self, target: Path) -> None:
        """Put what would be deployed into a new folder, between files that must not be."""
        copy_tracked(self.source, target)
        if not (target / "lib" / "kairo_metrics").exists():
            copy_library(target)
        for decoy in _DECOYS:
            (target / decoy).parent.mkdir(parents=True, exist_ok=True)
            (target / decoy).write_text(DECOY)


PROJECTS = {
    "repository": Project(
        source=REPOSITORY,
        watched="api/content",
        request=("GET", "/api/content"),
        sent={"headers": {"X-Tenant": "acme"}},
        route="/api/content",
        own_sample='tenant_db_query_duration_seconds_count{model="Entry",operation="select"}',
        megabytes=28,  # 18 of them are SQLAlchemy, half of it compiled, and 1 is uvicorn, for other hosts
    ),
    "fastapi": Project(
        source=EXAMPLE,
        watched="api/quotes",
        request=("POST", "/api/quotes"),
        sent={"json": {"currency": "EUR", "items": [{"price_cents": 250, "quantity": 4}]}},
        route="/api/quotes",
        own_sample='quotes_total{currency="EUR"}',
        megabytes=14,
    ),
}


def copy_tracked(source: Path, target: Path) -> None:
    """Copy the files below `source` that git tracks, as they are now."""
    for file in tracked(source):
        if (source / file).exists():
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / file, target / file)


def tracked(folder: Path, *options: str) -> set[str]:
    """List the files below a folder that git tracks, or those of them that the options ask for."""
    listed = subprocess.run(["git", "ls-files", "-z", *options], cwd=folder, capture_output=True, text=True, check=True)
    return set(filter(None, listed.stdout.split("\0")))


def copy_library(target: Path) -> None:
    """Copy `lib/kairo_metrics`, as the README tells users to."""
    library = Path("lib", "kairo_metrics")
    shutil.copytree(REPOSITORY / library, target / library, ignore=shutil.ignore_patterns("__pycache__"))
