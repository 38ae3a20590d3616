"""A protobuf package that is absent or of a wrong version takes neither the page nor the clear answer of a push."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.dev_server import REPOSITORY

PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
PROGRAM = f"""
import asyncio, logging
import httpx
from lib.kairo_metrics import Settings, metrics_app, push_app
from lib.kairo_metrics.cli.doctor.package_check import check_packages
from lib.kairo_metrics.config.push_settings import PushSettings
from lib.kairo_metrics.testing.memory_store import MemoryStore

logging.basicConfig(format="%(name)s %(message)s")
settings = Settings(enabled=True, auth_tokens=("t" * 40,), redis_url="redis://127.0.0.1:1")
store = MemoryStore(settings)
page = metrics_app(settings=settings, store=store)
push = push_app(settings=settings, store=store, push_settings=PushSettings(url="http://127.0.0.1:1", cron_secret="s"))

async def main():
    for app, secret in ((page, "t" * 40), (page, "t" * 40), (push, "s")):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://cms.example.org") as client:
            headers = {{"Authorization": "Bearer " + secret, "Accept": "{PROTOBUF},text/plain;q=0.5"}}
            answer = await client.get("/", headers=headers)
        print(answer.status_code, answer.headers["content-type"], answer.text.splitlines()[0])
    print(check_packages().mark, check_packages().text)

asyncio.run(main())
"""


def answers(tmp_path: Path, package: str) -> tuple[list[str], str]:
    """Run the program with this text as the package `google.protobuf`, and return what it prints and logs."""
    (tmp_path / "google/protobuf").mkdir(parents=True)
    (tmp_path / "google/protobuf/__init__.py").write_text(package)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{REPOSITORY}"}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    return run.stdout.splitlines(), run.stderr


def test_a_wrong_version_is_told_once_and_the_next_best_format_is_served(tmp_path: Path) -> None:
    """A scrape that prefers protobuf gets the text, a push the reason, and the log and `doctor` name the package."""
    (first, second, pushed, finding), log = answers(tmp_path, "raise TypeError('Descriptors cannot be created')")
    assert first.startswith("200 text/plain; version=0.0.4")
    assert second.startswith("200 text/plain; version=0.0.4")
    assert pushed.startswith("503 text/plain")
    assert "protobuf can't be used: Descriptors cannot be created; install version 4.25 to 7" in pushed
    assert finding.startswith("warn the package protobuf can't be used")
    assert log.count("the package protobuf can't be used") == 1


def test_an_absent_package_is_told_in_the_same_way(tmp_path: Path) -> None:
    """Without protobuf the page is the text, and a push says what to install."""
    (first, _, pushed, _), _ = answers(tmp_path, "raise ModuleNotFoundError(\"No module named 'google.protobuf'\")")
    assert first.startswith("200 text/plain; version=0.0.4")
    assert "No module named 'google.protobuf'; install" in pushed


def test_the_message_code_asks_for_no_version() -> None:
    """The compiler would demand its own version, with which few apps that already use protobuf agree."""
    for module in ("client_model_pb2", "remote_write_pb2", "remote_write_2_pb2"):
        code = (REPOSITORY / f"lib/kairo_metrics/exposition/{module}.py").read_text()
        assert "ValidateProtobufRuntimeVersion" not in code
