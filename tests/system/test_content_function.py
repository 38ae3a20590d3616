"""The function `api/content.py`, as Vercel and AWS Lambda load it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(program: str, **environment: str) -> str:
    """Run a program in a new interpreter at the repository's root, and return what it prints."""
    command = [sys.executable, "-c", program]
    return subprocess.check_output(command, cwd=ROOT, env=os.environ | environment, encoding="utf-8")


def test_cold_start(redis_url: str) -> None:
    """Loading the function, metrics included, imports no database and no Redis library; the first request does."""
    program = """
import sys
import api.content
print(*{"sqlalchemy", "pg8000", "sqlite3", "redis"} & sys.modules.keys())
"""
    assert run(program, ENABLE_METRICS="true", METRICS_AUTH_TOKEN="token", REDIS_URL=redis_url) == "\n"


def test_lambda(tmp_path: Path) -> None:
    """On AWS Lambda the same file answers the events of a Function URL."""
    event = {
        "version": "2.0",
        "rawPath": "/api/content",
        "rawQueryString": "",
        "headers": {"x-tenant": "acme", "content-type": "application/json"},
        "requestContext": {"http": {"method": "POST", "path": "/api/content", "sourceIp": "192.0.2.1"}},
        "body": json.dumps({"slug": "hello", "title": "Grüße", "body": ""}),
        "isBase64Encoded": False,
    }
    program = f"""
import json
from api.content import handler
print(json.dumps([handler({event!r}, None) for _ in range(2)]))
"""
    first, second = json.loads(run(program, ENABLE_METRICS="false", DATABASE_URL=f"sqlite:///{tmp_path}/cms.sqlite3"))
    assert (first["statusCode"], first["headers"]["location"]) == (201, "/api/content/hello")
    assert json.loads(first["body"])["title"] == "Grüße"
    assert second["statusCode"] == 409
