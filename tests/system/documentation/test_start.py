"""docs/start.md: what it tells a reader to write and to run, in an empty folder."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import httpx
import pytest

from tests.support.dev_server import REPOSITORY
from tests.support.ports import free_port
from tests.support.variants import variants

PAGE = (REPOSITORY / "docs" / "start.md").read_text()
TOKEN = "a-token-of-your-own"
# The shown port, and the path and route of an order in each section.
PORT = 8000
ORDERS = {
    "FastAPI": ("/orders/7", "/orders/{number}"),
    "Flask": ("/orders/7", "/orders/<int:number>"),
    "Django": ("/", "__unmatched__"),
    "Handler class": ("/api/orders", "/api/orders"),
}


def blocks(section: str, language: str) -> list[str]:
    """Return a section's blocks of a language, as they stand in the page."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def write(section: str, folder: Path) -> None:
    """Write a section's files, each under the name in its first line, beside a copy of the library."""
    (folder / "lib").mkdir()
    (folder / "lib" / "kairo_metrics").symlink_to(REPOSITORY / "lib" / "kairo_metrics")
    for block in blocks(section, "python"):
        file = folder / re.match(r"# ([\w/.]+\.py)", block)[1]  # type: ignore[index]
        file.parent.mkdir(exist_ok=True)
        file.write_text(block)


def environment(redis_url: str) -> dict[str, str]:
    """Return the variables that the page exports, with this test's Redis."""
    [see_it] = blocks("See it", "bash")
    exports = [line for line in see_it.splitlines() if line.startswith("export ")]
    shown = dict(part.split("=", 1) for line in exports for part in shlex.split(line)[1:])
    assert shown == {"ENABLE_METRICS": "true", "REDIS_URL": "redis://127.0.0.1:6379", "METRICS_AUTH_TOKEN": TOKEN}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "HOME": os.environ.get("HOME", "/"), **shown, "REDIS_URL": redis_url}


@pytest.mark.parametrize("section", variants(ORDERS, ["FastAPI"]))
def test_the_lines_of_a_framework_measure_its_app(section: str, tmp_path: Path, redis_url: str) -> None:
    """A reader writes the files, runs the command, sends a request, and sees it on the page."""
    if section == "Django":
        subprocess.run([sys.executable, "-m", "django", "startproject", "shop", "."], cwd=tmp_path, check=True)
    write(section, tmp_path)
    command = blocks(section, "bash")[1].strip()
    assert str(PORT) in command
    path, route = ORDERS[section]
    port = free_port()
    server = subprocess.Popen(
        shlex.split(command.replace(str(PORT), str(port))), cwd=tmp_path, env=environment(redis_url), text=True
    )
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                assert httpx.get(address + path).status_code < 500
                break
            except httpx.TransportError:
                assert server.poll() is None
                time.sleep(0.1)
        for _ in range(100):
            page = httpx.get(f"{address}/api/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
            assert page.status_code == 200, page.text
            if f'route="{route}",status="' in page.text:
                break
            time.sleep(0.1)
        sample = rf'^http_requests_total{{method="GET",route="{re.escape(route)}",status="\d+"}} 1'
        assert re.search(sample, page.text, re.MULTILINE)
    finally:
        server.terminate()
        server.wait()


@pytest.mark.parametrize("section", [*ORDERS, "Lambda with SQS"])
def test_a_reader_installs_what_the_package_needs(section: str) -> None:
    """The first command of each section has the dependencies of the wheel; FastAPI brings Starlette along."""
    project = tomllib.loads((REPOSITORY / "lib" / "pyproject.toml").read_text())["project"]
    needed = {dependency.partition(">=")[0] for dependency in project["dependencies"]}
    installed = set(blocks(section, "bash")[0].removeprefix("pip install ").split())
    assert needed - installed <= ({"starlette"} if "fastapi" in installed else set())


def test_the_lines_for_lambda_measure_the_function(tmp_path: Path, redis_url: str) -> None:
    """The command under the files runs the function, which is then on the page of the second one."""
    write("Lambda with SQS", tmp_path)
    [command] = re.findall(r"`(python -c 'import worker.*?)` runs it here", PAGE)
    run = shlex.split(command)
    subprocess.run(run, cwd=tmp_path, env=environment(redis_url), check=True)
    ask = (
        "import page; answer = page.handler({'version': '2.0', 'rawPath': '/', 'rawQueryString': '', 'headers': "
        f"{{'host': 'x', 'authorization': 'Bearer {TOKEN}'}}, 'requestContext': {{'http': {{'method': 'GET', "
        "'path': '/', 'sourceIp': '127.0.0.1', 'protocol': 'HTTP/1.1'}, 'stage': '$default'}, 'isBase64Encoded': "
        "False}, None); print(answer['statusCode'], answer['body'])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", ask],
        cwd=tmp_path,
        env=environment(redis_url),
        check=True,
        capture_output=True,
        text=True,
    )
    assert shown.stdout.startswith("200 ")
    assert 'function_invocations_total{function="pack_orders",outcome="success"} 1' in shown.stdout
