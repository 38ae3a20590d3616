"""Each block of docs/opentelemetry.md runs as it stands, and the page shows what the document shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import redis

from tests.support.dev_server import REPOSITORY

DOCUMENT = (REPOSITORY / "docs" / "opentelemetry.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE)
FILES = dict(re.findall(r"^```python\n# ([\w.]+)\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE))
[COMMAND] = [text for language, text in BLOCKS if language == "bash"]
[SHOWN] = [text for language, text in BLOCKS if language == "text"]
PROJECT = tomllib.loads((REPOSITORY / "lib" / "pyproject.toml").read_text())["project"]

# Prints the page after a request; the answer of the app itself comes first.
ASK_ASGI = """
from starlette.testclient import TestClient
from shop import app
client = TestClient(app)
print(client.post("/orders/book").json())
print(client.get("/api/metrics", headers={"Authorization": "Bearer t"}).text)
"""
ASK_WSGI = """
from orders import app
client = app.test_client()
with client.get("/orders/7") as answer:
    print(answer.json)
with client.get("/api/metrics", headers={"Authorization": "Bearer t"}) as page:
    print(page.text)
"""
PAGE = """
from starlette.testclient import TestClient
from lib.kairo_metrics import metrics_app
print(TestClient(metrics_app()).get("/api/metrics", headers={"Authorization": "Bearer t"}).text)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with the files of the document."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def run(folder: Path, redis_url: str, *arguments: str, **variables: str) -> str:
    """Run Python in the folder with metrics on, and return what it printed."""
    settings = {"ENABLE_METRICS": "true", "REDIS_URL": redis_url, "METRICS_AUTH_TOKEN": "t"}
    environment = {**os.environ, **settings, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{folder}", **variables}
    ran = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_every_block_is_run_here() -> None:
    """A block that is added needs a test."""
    assert set(FILES) == {"shop.py", "orders.py", "nightly.py", "sizes.py", "test_shop.py"}
    assert len(BLOCKS) == len(FILES) + 2


def test_the_command_installs_what_the_extra_names() -> None:
    """The requirement is that of the wheel's extra, and the tests run with a version that it allows."""
    [requirement] = PROJECT["optional-dependencies"]["opentelemetry"]
    assert f'pip install "{requirement}"\n' == COMMAND
    assert tuple(map(int, version("opentelemetry-sdk").split(".")[:2])) >= (1, 30)


@pytest.mark.parametrize("enabled", ["true", "false"])
def test_the_fastapi_app(folder: Path, redis_url: str, enabled: str) -> None:
    """Its page shows the lines of the document and OpenTelemetry's own metrics; with metrics off the app answers."""
    printed = run(folder, redis_url, "-c", ASK_ASGI, ENABLE_METRICS=enabled)
    assert printed.startswith("{'kind': 'book'}\n")
    assert (SHOWN in printed) == (enabled == "true")
    assert ("http_server_duration_milliseconds_count{" in printed) == (enabled == "true")


@pytest.mark.long
@pytest.mark.parametrize("enabled", ["true", "false"])
def test_the_flask_app(folder: Path, redis_url: str, enabled: str) -> None:
    """The same for Flask."""
    printed = run(folder, redis_url, "-c", ASK_WSGI, ENABLE_METRICS=enabled)
    assert printed.startswith("{'number': 7}\n")
    assert ("http_server_duration_milliseconds_count{" in printed) == (enabled == "true")


@pytest.mark.long
def test_a_script_and_its_views(folder: Path, redis_url: str) -> None:
    """Both scripts send what they have counted at their end, and the exponential view makes a native histogram."""
    for _ in range(2):
        run(folder, redis_url, "nightly.py")
    run(folder, redis_url, "sizes.py")
    page = run(folder, redis_url, "-c", PAGE)
    assert 'rows_copied_total{otel_scope_name="nightly"} 2400\n' in page
    assert 'upload_size_bytes_bucket{otel_scope_name="shop",le="2500.0"} 1\n' in page
    with redis.Redis.from_url(redis_url) as client:
        families = [value for key in client.scan_iter("*") if b"families" in key for value in client.hvals(key)]
    assert any(b'"upload_size_bytes", "type": "native"' in family for family in families)


def test_a_users_test(folder: Path) -> None:
    """The test of the document passes, without a Redis."""
    printed = run(
        folder, "redis://127.0.0.1:1", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shop.py", ENABLE_METRICS=""
    )
    assert "1 passed" in printed


CONFIGURED = """
from opentelemetry.sdk._configuration import _OTelSDKConfigurator
_OTelSDKConfigurator().configure()
from opentelemetry.metrics import get_meter
get_meter("shop").create_counter("orders").add(3)
"""


def test_a_variable_chooses_the_reader(folder: Path, redis_url: str) -> None:
    """With the wheel, `OTEL_METRICS_EXPORTER=kairo` is enough: this is what `opentelemetry-instrument` runs."""
    [(group, names)] = PROJECT["entry-points"].items()
    metadata = folder / "kairo_metrics-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: kairo-metrics\nVersion: 0.1.0\n")
    lines = [f"[{group}]", *(f"{name} = {target}" for name, target in names.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    python_path = os.pathsep.join(map(str, (REPOSITORY / "lib", folder)))
    others = {"OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    run(folder, redis_url, "-c", CONFIGURED, OTEL_METRICS_EXPORTER="kairo", PYTHONPATH=python_path, **others)
    assert 'orders_total{otel_scope_name="shop"} 3\n' in run(folder, redis_url, "-c", PAGE)
