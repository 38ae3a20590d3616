"""How projects are laid out, as they are found in the wild."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.kairo_metrics.cli.init.layout import Layout, find_layout
from lib.kairo_metrics.cli.init.vercel_config import read_vercel
from lib.kairo_metrics.cli.store_access import CommandError

FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"
FLASK = "import flask\napp = flask.Flask(__name__)\n"
HANDLER = "from http.server import BaseHTTPRequestHandler\nclass handler(BaseHTTPRequestHandler): ...\n"
SAM = """Resources:
  Shop:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src/
      Handler: web.handler
  Queue:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src/
      Handler: jobs.queue.consume
"""
SERVERLESS = """service: shop
provider:
  name: aws
functions:
  api:
    handler: shop/web.handler
"""
MANAGE = 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "site1.settings")\n'
DJANGO = "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"


def layout(root: Path, files: dict[str, str], chosen: str | None = None) -> Layout:
    """Return the layout of a project with these files."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return find_layout(root, read_vercel(root), Path(chosen) if chosen else None)


@pytest.mark.parametrize(
    ("source", "framework"),
    [
        (FASTAPI, "FastAPI"),
        (FLASK, "Flask"),
        ("from starlette.applications import Starlette\napp = Starlette()\n", "Starlette"),
        ("from quart import Quart\napp: Quart = Quart(__name__)\n", "Quart"),
        ("import litestar as web\napp = web.Litestar([])\n", "Litestar"),
        (DJANGO, "Django"),
        ("from django.core.asgi import get_asgi_application as get\napp = get()\n", "Django"),
        ("import falcon.asgi\napp = falcon.asgi.App()\n", "Falcon"),
        ("import bottle\napp = bottle.default_app()\n", "Bottle"),
        ("from pyramid.config import Configurator\napp = Configurator().make_wsgi_app()\n", "Pyramid"),
        ("from fastapi import FastAPI\nfrom starlette.x import C\napi = FastAPI()\napp = C(api)\n", "FastAPI"),
        ("def make():\n    from flask import Flask\n    return Flask('x')\napp = make()\n", "Flask"),
        ("from shop.web import app\n", "Flask"),
        ("from shop import create_app as make\napp = make()\n", "FastAPI"),
        ("async def app(scope, receive, send): ...\n", "ASGI app"),
        ("def application(environ, start_response): ...\n", "WSGI app"),
        (HANDLER, "handler class"),
    ],
)
def test_the_framework_is_read_from_the_source(tmp_path: Path, source: str, framework: str) -> None:
    """Also if another file of the project makes the app; nothing is imported."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("from .factory import create_app\nraise SystemExit('imported')\n")
    (tmp_path / "shop" / "factory.py").write_text("import fastapi\ndef create_app():\n    return fastapi.FastAPI()\n")
    (tmp_path / "shop" / "web.py").write_text(FLASK)
    found = layout(tmp_path, {"api/shop.py": source})
    assert (found.framework, found.host, found.one_app) == (framework, "Vercel", False)


@pytest.mark.parametrize(
    ("files", "apps", "one_app", "host"),
    [
        pytest.param({"api/index.py": FASTAPI}, ["api/index.py"], False, "Vercel", id="one function"),
        pytest.param(
            {"api/a.py": FASTAPI, "api/b/index.py": HANDLER, "api/_c.py": FASTAPI, "api/helper.py": "x = 1\n"},
            ["api/a.py", "api/b/index.py"],
            False,
            "Vercel",
            id="functions, and files that are none",
        ),
        pytest.param({"app.py": FLASK}, ["app.py"], True, "Vercel", id="an app in the root"),
        pytest.param({"src/server.py": FLASK, "app/main.py": FASTAPI}, ["src/server.py"], True, "Vercel", id="in src"),
        pytest.param(
            {"main.py": FASTAPI, "api/routes.py": "import fastapi\nrouter = fastapi.APIRouter()\n"},
            ["main.py"],
            True,
            "Vercel",
            id="api/ is a package of the app",
        ),
        pytest.param(
            {"vercel.json": '{"framework": "fastapi"}', "main.py": FASTAPI, "api/x.py": FASTAPI},
            ["main.py"],
            True,
            "Vercel",
            id="a preset ignores api/",
        ),
        pytest.param(
            {"pyproject.toml": '[tool.vercel]\nentrypoint = "shop.web:app"\n', "shop/web.py": FLASK, "app.py": FASTAPI},
            ["shop/web.py"],
            True,
            "Vercel",
            id="the entry point is named",
        ),
        pytest.param(
            {
                "manage.py": MANAGE,
                "site1/settings.py": 'WSGI_APPLICATION = "site1.wsgi.application"\n',
                "site1/wsgi.py": DJANGO,
            },
            ["site1/wsgi.py"],
            True,
            "Vercel",
            id="Django",
        ),
        pytest.param(
            {
                "backend/manage.py": MANAGE,
                "backend/site1/settings/__init__.py": "from .base import *\n",
                "backend/site1/settings/base.py": "ASGI_APPLICATION = 'site1.asgi.application'\n",
                "backend/site1/asgi.py": DJANGO,
            },
            ["backend/site1/asgi.py"],
            True,
            "Vercel",
            id="Django in a folder, with several settings",
        ),
        pytest.param(
            {
                "vercel.json": '{"builds": [{"src": "index.py", "use": "@vercel/python"}], "routes": []}',
                "index.py": FLASK,
            },
            ["index.py"],
            True,
            "Vercel",
            id="builds",
        ),
        pytest.param({"main.py": FASTAPI, "Dockerfile": ""}, ["main.py"], True, "another host", id="a container"),
        pytest.param(
            {
                "template.yaml": SAM,
                "src/web.py": FASTAPI + "handler = Mangum(app)\n",
                "src/jobs/queue.py": "def consume(event, context): ...\n",
            },
            ["src/web.py", "src/jobs/queue.py"],
            False,
            "AWS Lambda",
            id="SAM",
        ),
        pytest.param(
            {"serverless.yml": SERVERLESS, "shop/web.py": FASTAPI + "handler = Mangum(app)\n"},
            ["shop/web.py"],
            True,
            "AWS Lambda",
            id="Serverless Framework",
        ),
    ],
)
def test_what_a_host_loads_is_found(
    tmp_path: Path, files: dict[str, str], apps: list[str], one_app: bool, host: str
) -> None:
    """The files are those that the host would load, in its order."""
    found = layout(tmp_path, files)
    assert [app.path.as_posix() for app in found.apps] == apps
    assert (found.one_app, found.host) == (one_app, host)


def test_lambda_functions_are_of_two_kinds(tmp_path: Path) -> None:
    """An app behind an adapter is measured as an app, and a function for events as a function."""
    web = FASTAPI + "handler = Mangum(app)\n"
    files = {"template.yaml": SAM, "src/web.py": web, "src/jobs/queue.py": "def consume(event, context): ...\n"}
    found = layout(tmp_path, files)
    assert [(app.name, app.kind) for app in found.apps] == [("app", "app"), ("consume", "function")]
    assert found.code == Path("src")


def test_the_file_can_be_named(tmp_path: Path) -> None:
    """An app in a place that no host looks at is found where the user says."""
    files = {"shop/web.py": FLASK}
    with pytest.raises(CommandError, match=r"shop/web\.py has an app \(Flask\): name it with --app shop/web\.py"):
        layout(tmp_path, files)
    assert layout(tmp_path, files, "shop/web.py").framework == "Flask"


def test_what_vercel_would_skip_is_told(tmp_path: Path) -> None:
    """A file whose app Vercel does not see is named with what it lacks."""
    with pytest.raises(CommandError, match=r"api/bot\.py: Vercel takes `handler` as a class alone"):
        layout(tmp_path, {"api/bot.py": "handler = Mangum(api)\n"})
    assert "api/bot.py: Vercel takes" in layout(tmp_path, {"api/shop.py": FLASK}).skipped[0]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no app was found in .*: Vercel loads a top-level `app`.*; a job without an app needs no init: copy lib"),
        ({"app.py": "app = (\n"}, r"app\.py is not valid Python: '\(' was never closed"),
        ({"app.py": FLASK, "vercel.json": "{,}"}, r"vercel\.json is not valid JSON: .*; correct it first"),
        ({"app.py": FLASK, "vercel.json": "[]"}, r"vercel\.json must be a JSON object"),
        ({"app.py": FLASK, "vercel.json": '{"headers": {}}'}, r"vercel\.json: 'headers' must be an array"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, files: dict[str, str], message: str) -> None:
    """Each error names the file, and what to correct."""
    with pytest.raises(CommandError, match=message):
        layout(tmp_path, files)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    """A vercel.json in UTF-16, as some editors of Windows write it."""
    (tmp_path / "vercel.json").write_bytes("{}".encode("utf-16"))
    with pytest.raises(CommandError, match=r"vercel\.json is not UTF-8 text"):
        read_vercel(tmp_path)
