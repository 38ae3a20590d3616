"""Heroku: the Procfile in a clean copy, with only the variables of the guide."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import redis

from tests.deployment.hosts.image import Image, on_loopback
from tests.support.dev_server import REPOSITORY
from tests.support.host_server import HostServer, starting_host_server
from tests.support.tls_front import TlsFront

HONCHO = Path(sys.executable).parent / "honcho"
# All variables that the guide sets with `heroku config:set`.
CONFIG = {"ENABLE_METRICS": "true", "METRICS_AUTH_TOKEN": "a-token"}
_SHELL_TERMINATED = 128 + signal.SIGTERM
SAMPLE = 'http_requests_total{method="GET",route="/api/content",status="200"}'


@contextmanager
def dyno(clone: Path, image: Image, env: dict[str, str]) -> Iterator[HostServer]:
    """Start the web process of the Procfile with the packages in requirements.txt, as Heroku's buildpack does."""
    [line] = (clone / "Procfile").read_text().splitlines()
    (clone / "Procfile.loopback").write_text(" ".join(on_loopback(tuple(line.split(" ")))))
    command = (str(HONCHO), "-f", "Procfile.loopback", "start", "web")
    # Heroku's Python buildpack sets WEB_CONCURRENCY: 2 on its smaller dynos.
    environment = {"PATH": image.environment["PATH"], "WEB_CONCURRENCY": "2", **CONFIG, **env}
    with starting_host_server(environment, cwd=clone, command=command) as server:
        server.wait_until_it_serves()
        yield server
        # As on Heroku, every process of the dyno gets SIGTERM, also the shell around the server, which ends.
        assert server.stop() == _SHELL_TERMINATED
        assert server.output.count("Application shutdown complete") == 2
        assert "Stopping parent process" in server.output
        assert "Traceback" not in server.output


def page(server: HostServer) -> str:
    """Scrape with the token."""
    answer = httpx.get(f"{server.url}/api/metrics", headers={"Authorization": "Bearer a-token"})
    assert answer.is_success, answer.text
    return answer.text


def test_the_procfile_has_one_web_process() -> None:
    """Heroku finds the web process, and the packages in the one requirements.txt."""
    [line] = (REPOSITORY / "Procfile").read_text().splitlines()
    assert line.startswith("web: ")
    others = {"Pipfile", "Pipfile.lock", "poetry.lock", "pyproject.toml", "runtime.txt", "uv.lock"}
    assert others.isdisjoint(path.name for path in REPOSITORY.iterdir())


@pytest.mark.long
def test_config_vars_are_all_it_needs(clone: Path, image: Image, redis_url: str, redis_client: redis.Redis) -> None:
    """With two variables, and the one of the add-on, requests are served, counted and scraped."""
    with dyno(clone, image, {"REDIS_URL": redis_url}) as server:
        assert httpx.get(f"{server.url}/api/health").json() == {"status": "alive"}
        for _ in range(5):
            assert httpx.get(f"{server.url}/api/content", headers={"X-Tenant": "acme"}).is_success
        assert httpx.get(f"{server.url}/api/metrics").status_code == 401
    assert redis_client.dbsize() > 0
    with dyno(clone, image, {"REDIS_URL": redis_url}) as server:
        assert f"{SAMPLE} 5\n" in page(server)


@pytest.mark.long
@pytest.mark.parametrize("variable", ["REDIS_URL", "REDIS_TLS_URL"])
def test_the_add_on_with_its_own_certificate_works(clone: Path, image: Image, redis_url: str, variable: str) -> None:
    """Heroku's Key-Value Store has a self-signed certificate: with one more variable the metrics work."""
    with (
        TlsFront(redis_url, "compute.example.org") as front,
        dyno(clone, image, {variable: front.url, "METRICS_REDIS_TLS_VERIFY": "false"}) as server,
    ):
        assert "kairo_store_info" in page(server)


@pytest.mark.long
def test_without_that_variable_the_page_says_what_to_set(clone: Path, image: Image, redis_url: str) -> None:
    """Without that variable, the response to a scrape names it."""
    with TlsFront(redis_url, "compute.example.org") as front, dyno(clone, image, {"REDIS_URL": front.url}) as server:
        answer = httpx.get(f"{server.url}/api/metrics", headers={"Authorization": "Bearer a-token"})
        assert answer.status_code == 503
        assert "METRICS_REDIS_TLS_VERIFY=false" in answer.text
