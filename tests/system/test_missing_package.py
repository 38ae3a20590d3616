"""A program without the package redis: the page, the log and `doctor` say what to install, and the app goes on."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.dev_server import REPOSITORY

SENTENCE = "the Python package redis, version 5 or newer, is not installed: add redis to your requirements"
# As an interpreter without the package, or with one that lacks what we need of it.
WITHOUT = {"none": "sys.modules['redis'] = None", "too old": "sys.modules['redis'] = types.ModuleType('redis')"}
ASGI = """
import asyncio, httpx
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from lib.kairo_metrics import instrument

app = instrument(Starlette(routes=[Route("/hello", lambda request: PlainTextResponse("hello"))]), metrics_path="/page")

async def ask():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        for path in ("/hello", "/page"):
            answer = await client.get(path, headers={"Authorization": "Bearer secret"})
            print(answer.status_code, answer.text)

asyncio.run(ask())
"""
WSGI = """
from flask import Flask
from lib.kairo_metrics import instrument

app = instrument(Flask("shop"), metrics_path="/page")
app.add_url_rule("/hello", view_func=lambda: "hello")
for path in ("/hello", "/page"):
    answer = app.test_client().get(path, headers={"Authorization": "Bearer secret"})
    print(answer.status_code, answer.text)
"""
COMMAND = "from lib.kairo_metrics.cli import main; sys.exit(main(sys.argv[1:]))"


def run(without: str, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program in which the package redis can't be imported."""
    environment = {
        **os.environ,
        "ENABLE_METRICS": "true",
        "METRICS_AUTH_TOKEN": "secret",
        "REDIS_URL": "redis://127.0.0.1:6379",
    }
    text = f"import sys, types\n{WITHOUT[without]}\n{program}"
    command = [sys.executable, "-c", text, *arguments]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("without", WITHOUT)
@pytest.mark.parametrize("program", [ASGI, WSGI], ids=["ASGI", "WSGI"])
def test_the_page_and_the_log_say_what_to_install(program: str, without: str) -> None:
    """The app's own answers are as ever, the page is a 503 with the reason, and the log has one line of it."""
    ran = run(without, program)
    assert ran.stdout.splitlines()[:2] == ["200 hello", f"503 the store could not be read: {SENTENCE}"]
    assert f"metrics could not be flushed and stay pending: {SENTENCE}" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_doctor_says_what_to_install() -> None:
    """It names the package; without it no other check of Redis can run."""
    ran = run("none", COMMAND, "doctor")
    assert ran.returncode == 1
    assert f"{SENTENCE} -> pip install redis, and add it to what the deployment installs" in ran.stdout


def test_the_other_commands_say_what_to_install() -> None:
    """They end with the sentence, and without a traceback."""
    for command in (["series"], ["show", "orders_total"], ["wipe", "--yes"]):
        ran = run("none", COMMAND, *command)
        assert ran.returncode == 1
        assert ran.stderr.endswith(f"{SENTENCE}\n")
        assert "Traceback" not in ran.stderr
