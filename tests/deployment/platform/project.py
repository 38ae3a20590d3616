"""The projects that the tests deploy: this repository, the examples, and one with every entry point."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.support.dev_server import REPOSITORY

__all__ = [
    "DECOY",
    "ENTRY_POINTS",
    "EXAMPLES",
    "TELEMETRY",
    "THIS_REPOSITORY",
    "Project",
    "copy_library",
    "copy_tracked",
    "tracked",
]

_EXAMPLES = REPOSITORY / "examples"

# This text is only in files that must not be deployed.
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
    """A project with one watched function, and a request to it.

    Args:
        source: the folder of the project.
        watched: the name of the function.
        request: method and path.
        sent: headers and body of the request, as arguments for httpx.
        route: the template under which the request is counted.
        own_sample: a sample of the project's own that the request raises by one.
        megabytes: the most megabytes of a function, unpacked, without what Vercel's builder adds to each.
        packages: the packages of a project without a `requirements.txt`; it gets the versions that are installed here.
    """

    source: Path
    watched: str
    request: tuple[str, str]
    route: str
    own_sample: str
    megabytes: int
    sent: Mapping[str, Any] = field(default_factory=dict)
    packages: tuple[str, ...] = ()

    @property
    def requests_sample(self) -> str:
        """The sample that counts the requests."""
        return f'http_requests_total{{method="{self.request[0]}",route="{self.route}",status="200"}}'

    def copy(self, target: Path) -> None:
        """Copy what is deployed into a new folder, together with files that must not be deployed."""
        copy_tracked(self.source, target)
        if not (target / "lib" / "kairo_metrics").exists():
            copy_library(target)
        if self.packages:
            pinned = "".join(f"{package}=={version(package)}\n" for package in self.packages)
            (target / "requirements.txt").write_text(pinned)
        for decoy in _DECOYS:
            (target / decoy).parent.mkdir(parents=True, exist_ok=True)
            (target / decoy).write_text(DECOY)


THIS_REPOSITORY = Project(
    source=REPOSITORY,
    watched="api/content",
    request=("GET", "/api/content"),
    sent={"headers": {"X-Tenant": "acme"}},
    route="/api/content",
    own_sample='tenant_db_query_duration_seconds_count{model="Entry",operation="select"}',
    megabytes=29,  # 18 of them are SQLAlchemy, half of it compiled, and 1 is uvicorn, for other hosts
)

EXAMPLES = {
    "fastapi": Project(
        source=_EXAMPLES / "fastapi",
        watched="api/quotes",
        request=("POST", "/api/quotes"),
        sent={"json": {"currency": "EUR", "items": [{"price_cents": 250, "quantity": 4}]}},
        route="/api/quotes",
        own_sample='quotes_total{currency="EUR"}',
        megabytes=14,
    ),
    "flask": Project(
        source=_EXAMPLES / "flask",
        watched="api/orders",
        request=("GET", "/api/orders/1"),
        route="/api/orders/<int:number>",
        own_sample='order_lookups_total{state="paid"}',
        megabytes=8,
    ),
    "django": Project(
        source=_EXAMPLES / "django",
        watched="api/site",
        request=("GET", "/products/lamp"),
        route="/products/<slug:name>",
        own_sample='product_views_total{product="lamp"}',
        megabytes=40,
    ),
    "handler_class": Project(
        source=_EXAMPLES / "handler_class",
        watched="api/hello",
        request=("GET", "/api/hello?name=Ada"),
        route="/api/hello",
        own_sample="greetings_total",
        megabytes=6,
    ),
    "cron_and_queue": Project(
        source=_EXAMPLES / "cron_and_queue",
        watched="api/nightly",
        request=("GET", "/api/nightly"),
        route="/api/nightly",
        own_sample='function_invocations_total{function="nightly",outcome="success"}',
        megabytes=20,
    ),
}

ENTRY_POINTS = Project(
    source=Path(__file__).parent / "entry_points",
    watched="api/flask_app",
    request=("GET", "/api/flask_app/items/7"),
    route="/api/flask_app/items/<int:number>",
    own_sample="items_read_total",
    megabytes=40,
    packages=("django", "fastapi", "flask", "prometheus-client", "redis"),
)

TELEMETRY = Project(
    source=Path(__file__).parent / "telemetry",
    watched="api/shop",
    request=("GET", "/api/shop/items/7"),
    route="/api/shop/items/{number}",
    own_sample='items_sold_total{kind="book",otel_scope_name="shop"}',
    megabytes=40,
    packages=(
        "fastapi",
        "flask",
        "opentelemetry-instrumentation-fastapi",
        "opentelemetry-instrumentation-flask",
        "opentelemetry-sdk",
        "prometheus-client",
        "redis",
    ),
)


def copy_tracked(source: Path, target: Path) -> None:
    """Copy the tracked files below `source`, with their current content."""
    for file in tracked(source):
        if (source / file).exists():
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / file, target / file)


def tracked(folder: Path, *options: str) -> set[str]:
    """List the tracked files below a folder, or the ones that the options select."""
    listed = subprocess.run(["git", "ls-files", "-z", *options], cwd=folder, capture_output=True, text=True, check=True)
    return set(filter(None, listed.stdout.split("\0")))


def copy_library(target: Path) -> None:
    """Copy `lib/kairo_metrics`, as the README says."""
    library = Path("lib", "kairo_metrics")
    shutil.copytree(REPOSITORY / library, target / library, ignore=shutil.ignore_patterns("__pycache__"))
