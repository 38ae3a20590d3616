"""Requests to the functions in `api/`, sent through one of AWS's callers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.deployment.platform.lambda_events import HTTP_API, Call, Caller, Response
from tests.deployment.platform.lambda_runtime import LambdaFunction

__all__ = ["TENANT", "TOKEN", "ask", "create", "read", "scrape", "variables"]

TOKEN = ("Authorization", "Bearer t")
TENANT = ("X-Tenant", "acme")


def variables(redis_url: str, folder: Path, **more: str) -> dict[str, str]:
    """Return a function's environment: metrics are on, and the content's database is in the folder."""
    return {
        "ENABLE_METRICS": "true",
        "METRICS_AUTH_TOKEN": "t",
        "REDIS_URL": redis_url,
        "DATABASE_URL": f"sqlite:///{folder}/cms.sqlite3",
        **more,
    }


def ask(function: LambdaFunction, call: Call, caller: Caller = HTTP_API) -> Response:
    """Send a request through a caller."""
    return caller.response(function.invoke(caller.event(call)))


def create(slug: str = "hello", **changes: Any) -> Call:
    """Build the request that creates an entry."""
    body = json.dumps({"slug": slug, "title": "Grüße", "body": "Ærø"}).encode()
    return Call("POST", "/api/content", (TENANT, ("Content-Type", "application/json")), body, **changes)


def read(slug: str = "hello", **changes: Any) -> Call:
    """Build the request that reads an entry."""
    return Call("GET", f"/api/content/{slug}", (TENANT,), **changes)


def scrape(*headers: tuple[str, str], query: str = "", **changes: Any) -> Call:
    """Build a scrape with the token."""
    return Call("GET", f"/api/metrics{query}", (TOKEN, *headers), **changes)
