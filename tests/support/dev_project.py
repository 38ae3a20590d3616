"""A small project for the dev server, with functions that answer with what they see."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from tests.support.dev_server import DevServer

HELLO = """
import contextlib, os, sys
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

@contextlib.asynccontextmanager
async def lifespan(app):
    yield {"started": True}
    print("hello has shut down", flush=True)

async def hello(request):
    return JSONResponse({
        "path": request.url.path,
        "started": request.state.started,
        "module": __name__,
        "folder": os.getcwd(),
        "import_from": sys.path[0],
        "environ": dict(os.environ),
    })

app = Starlette(routes=[Route("/{path:path}", hello)], lifespan=lifespan)
"""

# Needs no library, has no lifespan, and answers with a number if the token is right.
METRICS = """
import os

async def application(scope, receive, send):
    assert scope["type"] == "http"
    expected = b"Bearer " + os.environ["METRICS_AUTH_TOKEN"].encode()
    allowed = dict(scope["headers"]).get(b"authorization") == expected
    headers = [(b"content-type", b"text/plain; version=0.0.4"), (b"cache-control", b"private")]
    await send({"type": "http.response.start", "status": 200 if allowed else 401, "headers": headers})
    await send({"type": "http.response.body", "body": b"answer 42\\n" if allowed else b""})
"""

VERCEL = {
    "rewrites": [
        {"source": "/metrics", "destination": "/api/metrics"},
        {"source": "/hello/:path*", "destination": "/api/hello"},
    ],
    "headers": [{"source": "/(.*)", "headers": [{"key": "Cache-Control", "value": "no-store"}]}],
}


def make_project(root: Path) -> Path:
    """Write the project into the new folder `root`: three functions, and files that are no functions."""
    (root / "api" / "blog" / "_drafts").mkdir(parents=True)
    (root / "api" / "hello.py").write_text(HELLO)
    (root / "api" / "metrics.py").write_text(METRICS)
    (root / "api" / "blog" / "index.py").write_text(HELLO)
    (root / "api" / "_private.py").write_text("raise AssertionError('this is no function')")
    (root / "api" / "blog" / "_drafts" / "post.py").write_text("raise AssertionError('this is no function')")
    (root / "api" / "helpers.py").write_text("ANSWER = 42\n")
    (root / "vercel.json").write_text(json.dumps(VERCEL))
    return root


def environ(server: DevServer) -> dict[str, str]:
    """Return the environment variables that its functions see."""
    variables: dict[str, str] = httpx.get(f"{server.url}/api/hello").json()["environ"]
    return variables
