"""A wrong variable of metrics: the user's app serves on, and the log and the page say what to correct."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import httpx
import pytest

from lib.kairo_metrics.cli.doctor.settings_checks import problems
from tests.support.dev_server import REPOSITORY
from tests.support.host_server import host_server
from tests.support.variants import variants

# One bad value for each variable; those with "hush" in them are, or may hold, secrets.
WRONG = {
    "ENABLE_METRICS": "maybe",
    "METRICS_AUTH_TOKEN": "hush,",
    "METRICS_AUTH_TOKEN_SECRET_ID": "beside-the-token",
    "METRICS_AUTH_TOKEN_PARAMETER": "beside-the-token",
    "REDIS_URL": "redis://:hush@redis.example.org/-1",
    "KV_URL": "redis://:hush@redis.example.org/x",
    "REDIS_TLS_URL": "rediss://:hush@redis.example.org/99999999999",
    "METRICS_READ_URL": "http://:hush@redis.example.org",
    "METRICS_REDIS_TLS_CA": "/no/such/file/hush",
    "METRICS_REDIS_TLS_VERIFY": "hush",
    "METRICS_NAMESPACE": "hush hush",
    "VERCEL_ENV": "{hush}",
    "METRICS_SHARDS": "hush",
    "METRICS_MAX_SERIES": "-1",
    "METRICS_SERIES_TTL": "1.5",
    "METRICS_INSTANCE_LEASE_S": "0",
    "METRICS_CREATED_SAMPLES": "perhaps",
    "METRICS_FLUSH_BUDGET_MS": "1e3",
    "METRICS_SCRAPE_TIMEOUT_MS": "hush",
}
PUSH = {
    "METRICS_PUSH_PROTOCOL": "hush",
    "METRICS_REMOTE_WRITE_SIGV4_REGION": "hush hush",
    "METRICS_REMOTE_WRITE_URL": "prometheus.example.org/hush",
    "METRICS_REMOTE_WRITE_TOKEN": "hu sh",
    "METRICS_REMOTE_WRITE_LABELS": "hush",
    "METRICS_REMOTE_WRITE_TIMEOUT_MS": "hush",
}
# These stand in the place of REDIS_URL, and do nothing beside it.
INSTEAD_OF_REDIS_URL = {"KV_URL", "REDIS_TLS_URL"}
GOOD = {"ENABLE_METRICS": "true", "METRICS_AUTH_TOKEN": "token", "REDIS_URL": "redis://127.0.0.1:1"}
OURS = re.compile(r"ENABLE_METRICS|METRICS_.*|CRON_SECRET|VERCEL_ENV|(REDIS|REDIS_TLS|KV)_URL")

IMPORTS = """
import asyncio, importlib, json, os, sys, tempfile
import httpx, mangum, prometheus_client, redis.asyncio, sqlalchemy, starlette.applications
from sqlalchemy import create_engine

async def main(flushes):
    from lib.kairo_metrics import aflush, flush, install
    from lib.kairo_metrics import lambda_handler
    from lib.kairo_metrics.integrations.sqlalchemy import observe
    install()
    observe(create_engine("sqlite://"))
    answers = {}
    for path in ("/api/content", "/api/metrics", "/api/push", "/api/health", "/api/health?ready=1"):
        module = importlib.import_module("api." + path[5:].partition("?")[0])
        assert module.handler
        lambda_handler(module.app)
        transport = httpx.ASGITransport(module.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://cms.example.org") as client:
            answer = await client.get(path, headers={"X-Tenant": "acme", "Authorization": "Bearer token"})
        answers[path] = answer.status_code, answer.text
    if flushes:
        flush()
        await aflush()
    print(json.dumps(answers), flush=True)

def run(environ, flushes):
    with tempfile.TemporaryFile("w+") as printed, tempfile.TemporaryFile("w+") as logged:
        if not (child := os.fork()):
            os.dup2(printed.fileno(), 1)
            os.dup2(logged.fileno(), 2)
            os.environ.update(environ)
            asyncio.run(main(flushes))
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        printed.seek(0)
        logged.seek(0)
        return [status, printed.read(), logged.read()]

print(json.dumps({name: run(*case) for name, case in json.load(sys.stdin).items()}))
"""

Answers = tuple[dict[str, list[Any]], list[str]]


def imported(cases: dict[str, tuple[dict[str, str], bool]]) -> dict[str, Answers]:
    """Import every function of `api/` in a process for each case: its environment, and whether it flushes.

    The processes are forks of one that has imported the libraries, because these take most of the time.

    Returns:
        For each case the answers by path, and the lines of the log.
    """
    clean = {name: value for name, value in os.environ.items() if not OURS.fullmatch(name)}
    ran = subprocess.run(
        [sys.executable, "-c", IMPORTS],
        cwd=REPOSITORY,
        env=clean,
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    answers = {}
    for name, (status, printed, logged) in json.loads(ran.stdout).items():
        assert status == 0, logged
        answers[name] = json.loads(printed), logged.splitlines()
    return answers


@pytest.fixture(scope="module")
def functions() -> dict[str, Answers]:
    """Return what the functions answer with each wrong variable, and with all of them while metrics are off."""
    cases = {variable: (with_wrong(variable), variable in WRONG) for variable in WRONG | PUSH}
    return imported(cases | {"off": ({**WRONG, **PUSH, "ENABLE_METRICS": "false"}, True)})


def with_wrong(variable: str) -> dict[str, str]:
    environ = {**GOOD, variable: (WRONG | PUSH)[variable]}
    if variable in INSTEAD_OF_REDIS_URL:
        del environ["REDIS_URL"]
    if variable == "METRICS_REDIS_TLS_CA":
        environ["REDIS_URL"] = "rediss://redis.example.org"
    return environ


@pytest.mark.parametrize("variable", WRONG)
def test_a_wrong_variable_leaves_the_app_alone_and_is_named(functions: dict[str, Answers], variable: str) -> None:
    """The app serves; the page and the push are 503 with the variable, not its value; the log has one line."""
    answers, log = functions[variable]
    assert answers["/api/content"][0] == 200
    assert answers["/api/health"] == [200, '{"status":"alive"}']
    for path in ("/api/metrics", "/api/push", "/api/health?ready=1"):
        status, text = answers[path]
        assert status == 503
        assert f"a setting is wrong: {variable} " in text
        assert "correct it, and deploy again" in text
    [line] = log
    assert f"503: {variable} " in line
    assert "hush" not in str(answers) + line


@pytest.mark.parametrize("variable", PUSH)
def test_a_wrong_variable_of_pushes_is_told_by_the_push_alone(functions: dict[str, Answers], variable: str) -> None:
    """The push endpoint is 503 with the variable; the page goes on to Redis, and requests are counted."""
    answers, log = functions[variable]
    assert answers["/api/content"][0] == 200
    assert answers["/api/push"][0] == 503
    assert f"a setting is wrong: {variable} " in answers["/api/push"][1]
    assert "the store could not be read" in answers["/api/metrics"][1]
    assert len([line for line in log if variable in line]) == 1
    assert "hush" not in str(answers) + str(log)


def test_nothing_but_the_switch_is_read_while_metrics_are_off(functions: dict[str, Answers]) -> None:
    """With every other variable wrong the functions answer as they do without one, and nothing is logged."""
    answers, log = functions["off"]
    assert {path: status for path, (status, _) in answers.items()} == {
        "/api/content": 200,
        "/api/metrics": 404,
        "/api/push": 404,
        "/api/health": 200,
        "/api/health?ready=1": 200,
    }
    assert log == []


@pytest.mark.parametrize("variable", [*WRONG, *PUSH])
def test_doctor_names_every_wrong_variable(variable: str) -> None:
    """`doctor` finds what the functions find."""
    found = problems(with_wrong(variable))
    assert [err.variable for err in found] == [variable]
    assert "redis.example.org" not in str(found[0])


@pytest.mark.parametrize(
    "variable", variants(["METRICS_SHARDS", "REDIS_URL", "METRICS_REMOTE_WRITE_URL"], ["REDIS_URL"])
)
def test_the_server_serves_with_a_wrong_variable(variable: str) -> None:
    """`serve` starts, the content API answers, and the log names the variable once."""
    with host_server(with_wrong(variable)) as server:
        assert httpx.get(f"{server.url}/api/content", headers={"X-Tenant": "acme"}).status_code == 200
        page = httpx.get(f"{server.url}/api/{'push' if variable in PUSH else 'metrics'}")
        assert page.status_code == 503
        assert variable in page.text
        assert len([line for line in server.output.splitlines() if variable in line]) == 1
        assert "hush" not in page.text + server.output


BOTH_WAYS = """
import asyncio
from prometheus_client import CollectorRegistry, Counter
from lib.kairo_metrics import *
from lib.kairo_metrics.integrations.sqlalchemy import observe
from lib.kairo_metrics.testing import MemoryStore

ON = Settings(enabled=True, namespace="both-ways")
OFF = Settings(namespace="both-ways")

async def asgi(scope, receive, send): ...

class Source:
    def read(self): return ["token"]

def told(wrong):
    try:
        wrong()
        print("accepted")
    except Exception as err:
        print(type(err).__name__, err)

for wrong in (
    lambda: instrument(None),
    lambda: instrument(asgi, settings="redis://"),
    lambda: instrument(asgi, settings={}),
    lambda: instrument(asgi, store="redis://"),
    lambda: instrument(asgi, exemplar="trace_id"),
    lambda: instrument(asgi, metrics_path=1),
    lambda: instrument(asgi, metrics_path="metrics"),
    lambda: measured(1),
    lambda: metrics_wsgi_app(settings="off"),
    lambda: instrument(asgi, prefix=1),
    lambda: instrument(asgi, prefix="1_"),
    lambda: instrument(asgi, registry="default"),
    lambda: instrument(asgi, unknown=1),
    lambda: install("registry"),
    lambda: install(None),
    lambda: install(prefix="a b"),
    lambda: metrics_app(settings=Settings(shards=0)),
    lambda: metrics_app(settings=""),
    lambda: metrics_app(store=0),
    lambda: metrics_app(token_source="token"),
    lambda: metrics_app(token_source=Source),
    lambda: push_app(push_settings=PushSettings(url="nowhere")),
    lambda: push_app(push_settings="https://receiver.example.org"),
    lambda: push_app(settings="off"),
    lambda: push_app(store=MemoryStore),
    lambda: health_app(settings="off"),
    lambda: observe("sqlite://"),
    lambda: observe(None),
    lambda: flush(True),
    lambda: asyncio.run(aflush(budget_ms=1)),
):
    told(wrong)
taken = Counter("http_requests_total", "Theirs.")
told(lambda: instrument(asgi))

# Right so far. From here on the first call decides.
store = MemoryStore(CHOSEN)
instrument(asgi, settings=CHOSEN, store=store, prefix="cms_")
instrument(asgi, settings=CHOSEN)
metrics_app()
for wrong in (
    lambda: instrument(asgi, settings=Settings(enabled=CHOSEN.enabled, namespace="another")),
    lambda: metrics_app(settings=Settings(enabled=CHOSEN.enabled, namespace="another")),
    lambda: push_app(settings=Settings(enabled=CHOSEN.enabled, shards=2)),
    lambda: instrument(asgi, store=MemoryStore(CHOSEN)),
    lambda: metrics_app(store=MemoryStore(CHOSEN)),
    lambda: push_app(store=MemoryStore(CHOSEN)),
    lambda: instrument(asgi, prefix="shop_"),
    lambda: install(prefix=""),
):
    told(wrong)
print(flush(), asyncio.run(aflush()), flush(strict=True))
"""


def test_a_wrong_argument_is_the_same_error_with_metrics_on_and_off() -> None:
    """A mistake in code is found before metrics are turned on, and also while a variable is wrong."""
    printed = [
        subprocess.run(
            [sys.executable, "-c", BOTH_WAYS.replace("CHOSEN", chosen)],
            cwd=REPOSITORY,
            env={**os.environ, **GOOD, **changes},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for chosen, changes in (
            ("ON", {}),
            ("OFF", {"ENABLE_METRICS": "false"}),
            ("OFF", {"METRICS_SHARDS": "0"}),
        )
    ]
    assert printed[0] == printed[1] == printed[2]
    assert "accepted" not in printed[0]
    assert printed[0].splitlines()[-1] == "True True True"


MIXED = """
from lib.kairo_metrics import *
from lib.kairo_metrics.testing import MemoryStore

async def asgi(scope, receive, send): ...

instrument(asgi)
instrument(asgi, settings=Settings.from_env())  # the same as without
for wrong in (
    lambda: metrics_app(settings=Settings(namespace="another")),
    lambda: metrics_app(settings=Settings(enabled=True, namespace="another")),
    lambda: metrics_app(store=MemoryStore(Settings())),
):
    try:
        wrong()
        print("accepted")
    except KairoError as err:
        print(err)
"""


def test_settings_in_a_later_call_alone_are_the_same_error_with_metrics_on_and_off() -> None:
    """An app that has the variables' settings and a page that has others is wrong, whatever the variables say."""
    printed = [
        subprocess.run(
            [sys.executable, "-c", MIXED],
            cwd=REPOSITORY,
            env={**os.environ, **GOOD, "METRICS_NAMESPACE": "shop", **changes},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for changes in ({}, {"ENABLE_METRICS": "false"})
    ]
    assert printed[0] == printed[1]
    assert "accepted" not in printed[0]
