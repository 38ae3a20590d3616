"""Projects as their owners have them before they know this package: what `init` is run in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from tests.deployment.platform.package_origins import Origins
from tests.support.dev_server import REPOSITORY

__all__ = ["FRESH", "Fresh"]

_FASTAPI = '''"""A shop."""

from fastapi import FastAPI

app = FastAPI()


@app.get("/items/{item}")
def item(item: int) -> dict[str, int]:
    return {"item": item}
'''
_FLASK = """from flask import Flask

app = Flask(__name__)


@app.get("/items/<int:item>")
def item(item):
    return {"item": item}


if __name__ == "__main__":
    app.run()
"""
_STARLETTE = """from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def item(request):
    return JSONResponse({"item": request.path_params["item"]})


app = Starlette(routes=[Route("/items/{item:int}", item)])
"""
_HANDLER = """from http.server import BaseHTTPRequestHandler


class handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"item":7}')
"""
_DJANGO_URLS = """from django.http import JsonResponse
from django.urls import path

urlpatterns = [path("items/<int:item>", lambda request, item: JsonResponse({"item": item}))]
"""


@dataclass(frozen=True, slots=True)
class Fresh:
    """One project.

    Args:
        packages: the lines of its requirements.txt, without versions.
        files: its files.
        watched: the function that Vercel builds of the app.
        page: the function with the metrics page.
        path: the path of a request.
        route: the route under which the request is counted.
        origin: where its owner runs `init` from: a clone of this repository, or the package that was installed from a
            wheel or a git address.
    """

    packages: tuple[str, ...]
    files: Mapping[str, str]
    watched: str
    page: str
    path: str
    route: str
    origin: Literal["clone", "wheel", "git"] = "clone"

    def write(self, root: Path) -> None:
        """Write the project into an empty folder."""
        if "django" in self.packages:
            command = [sys.executable, "-m", "django", "startproject", "shop", str(root)]
            subprocess.run(command, check=True)
            settings = root / "shop" / "settings.py"
            settings.write_text(settings.read_text().replace("ALLOWED_HOSTS = []", 'ALLOWED_HOSTS = ["*"]'))
        for name, text in self.files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        if self.packages:
            lines = "".join(f"{package}=={version(package)}\n" for package in self.packages)
            (root / "requirements.txt").write_text(lines)

    def initializer(self, origins: Origins) -> tuple[list[str], dict[str, str]]:
        """Return the command that runs `init`, without the project, and its environment variables."""
        if self.origin == "clone":
            return [sys.executable, "-m", "lib.kairo_metrics", "init"], {"PYTHONPATH": str(REPOSITORY)}
        site = origins.wheel_site if self.origin == "wheel" else origins.git_site
        return [sys.executable, "-m", "kairo_metrics", "init"], {"PYTHONPATH": str(site)}


FRESH = {
    "fastapi in api": Fresh(
        packages=("fastapi",),
        files={"api/index.py": _FASTAPI},
        watched="api/index",
        page="api/metrics",
        path="/items/7",
        route="/items/{item}",
    ),
    "flask": Fresh(
        packages=("flask",),
        files={"app.py": _FLASK},
        watched="flask",
        page="flask",
        path="/items/7",
        route="/items/<int:item>",
        origin="wheel",
    ),
    "django": Fresh(
        packages=("django",),
        files={"shop/urls.py": _DJANGO_URLS},
        watched="django",
        page="django",
        path="/items/7",
        route="/items/<int:item>",
    ),
    "starlette": Fresh(
        packages=("starlette",),
        files={"src/main.py": _STARLETTE},
        watched="python",
        page="python",
        path="/items/7",
        route="/items/{item}",
    ),
    "handler class": Fresh(
        packages=(),
        files={"api/hello.py": _HANDLER},
        watched="api/hello",
        page="api/metrics",
        path="/api/hello",
        route="/api/hello",
        origin="git",
    ),
}
