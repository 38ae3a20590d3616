"""`doctor --url`: the connection to the page, and everything that may be in its way."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from lib.kairo_metrics.cli import main
from tests.support.dev_server import DevServer, dev_server
from tests.support.doctor_run import TOKEN, Doctor
from tests.support.host_server import host_server
from tests.support.ports import free_port
from tests.support.proxy import Proxy
from tests.support.site import HTML_KIND, Page, endpoint, make_certificate, site

HTML = b"<!doctype html><title>Authentication Required</title>"


@pytest.fixture(scope="module")
def server() -> Iterator[DevServer]:
    """Start the dev server on this repository, and send it a request."""
    with dev_server() as server:
        httpx.get(f"{server.url}/api/content", headers={"X-Tenant": "acme"})
        yield server


def test_the_real_endpoint_passes_every_check(server: DevServer, doctor: Doctor) -> None:
    """The page of `make run` passes every check."""
    report = doctor("--url", server.url, METRICS_AUTH_TOKEN=server.token)
    assert {mark for mark, _, _ in report.checks.values()} == {"ok"}
    assert report.code == 0
    assert "http_requests_total counts 1 requests" in report.text("requests")
    assert server.token not in report.printed


def test_a_token_under_another_name_and_two_of_them(server: DevServer, doctor: Doctor) -> None:
    """The variable may have any name; during a rotation each of two tokens is checked, and the wrong one is named."""
    report = doctor("--url", server.url, "--token-env", "STAGING", STAGING=f"{server.token},{TOKEN}")
    assert report.failed == {"token"}
    assert "token 2 of 2" in report.text("token")
    assert report.mark("page") == "ok"


def test_both_sides_in_one_report(server: DevServer, doctor: Doctor) -> None:
    """`--inside` adds the checks of this environment."""
    given = {"ENABLE_METRICS": "true", "METRICS_AUTH_TOKEN": server.token, "REDIS_URL": server.redis_url}
    report = doctor("--url", server.url, "--inside", **given)
    assert report.mark("rights") == report.mark("door") == "ok"


def test_metrics_that_are_off_are_told_from_a_wrong_path(server: DevServer, doctor: Doctor) -> None:
    """Metrics that are off and a wrong path, which are both 404, get different findings."""
    with dev_server(env={"ENABLE_METRICS": "false", "METRICS_AUTH_TOKEN": "t"}) as off:
        report = doctor("--url", off.url, METRICS_AUTH_TOKEN=TOKEN)
    assert report.failed == {"switch"}
    assert "ENABLE_METRICS=true" in report.text("switch")
    report = doctor("--url", f"{server.url}/api/metric", METRICS_AUTH_TOKEN=TOKEN)
    assert report.failed == {"switch"}
    assert "correct the path" in report.text("switch")
    assert report.mark("page") == report.mark("token") == "skipped"


def test_a_wrong_token_is_found(server: DevServer, doctor: Doctor) -> None:
    """A wrong token is a failure with advice, and is not shown."""
    report = doctor("--url", server.url, METRICS_AUTH_TOKEN=TOKEN)
    assert report.failed == {"token"}
    assert report.mark("wrong-token") == "ok"
    assert "line break" in report.text("token")
    assert TOKEN not in report.printed


def test_a_deployment_that_can_not_read_its_redis_is_found(doctor: Doctor, proxy: Proxy) -> None:
    """The report has the reason that the endpoint gives."""
    given = {"REDIS_URL": proxy.url, "METRICS_AUTH_TOKEN": TOKEN, "METRICS_SCRAPE_TIMEOUT_MS": "300"}
    with dev_server(env={**given, "ENABLE_METRICS": "true"}) as server:
        proxy.black_hole = True
        report = doctor("--url", server.url, METRICS_AUTH_TOKEN=TOKEN)
        proxy.black_hole = False
        proxy.cut()
    assert report.failed == {"store"}
    assert "did not answer within 0.3 s" in report.text("store")


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (b"no token is configured: set METRICS_AUTH_TOKEN\n", "set METRICS_AUTH_TOKEN in that environment"),
        (b"the token could not be read from AWS Secrets Manager: AccessDenied\n", "shows what AWS said"),
        (b"what AWS Secrets Manager keeps is no token\n", "shows what AWS said"),
    ],
)
def test_a_deployment_without_a_token_is_found(doctor: Doctor, reason: bytes, expected: str) -> None:
    """A 503 for a missing token and one for an unreachable store get different findings."""
    with site(lambda _path, _headers: Page(503, reason)) as url:
        report = doctor("--url", url, METRICS_AUTH_TOKEN=TOKEN)
    assert report.failed == {"token"}
    assert expected in report.text("token")


def test_a_page_that_is_open_to_everybody_is_a_failure(doctor: Doctor) -> None:
    """A page without a token is a failure; the other checks still run."""
    with site(lambda _path, headers: endpoint()("", {**headers, "authorization": f"Bearer {TOKEN}"})) as url:
        report = doctor("--url", url, METRICS_AUTH_TOKEN=TOKEN)
    assert report.failed == {"door", "wrong-token"}
    assert "anybody can read this" in report.text("door")
    assert "look for a proxy or cache that adds the token" in report.text("door")
    assert "nothing checks it: see `door`" in report.text("wrong-token")
    assert report.mark("page") == "ok"


def test_another_app_is_told_from_a_page_that_is_open(doctor: Doctor) -> None:
    """HTML with status 200 is not the metrics page at all."""
    with site(lambda *_: Page(200, HTML, HTML_KIND)) as url:
        report = doctor("--url", url, METRICS_AUTH_TOKEN=TOKEN)
    assert "this is another app, or a cache before it" in report.text("door")


@pytest.mark.parametrize(
    ("step", "expected"),
    [("getaddrinfo", "check this machine's name servers"), ("create_connection", "which Prometheus must pass as well")],
)
def test_a_silent_network_is_told(doctor: Doctor, monkeypatch: pytest.MonkeyPatch, step: str, expected: str) -> None:
    """A name server that does not answer and packets that are dropped get different advice."""

    def silent(*_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(socket, step, silent)
    report = doctor("--url", "http://127.0.0.1:1", METRICS_AUTH_TOKEN=TOKEN)
    assert expected in report.text("dns" if step == "getaddrinfo" else "connection")


def test_a_redirect_to_https_is_advised_as_such(doctor: Doctor) -> None:
    """http:// that leads to https:// of the same host asks for the other scheme."""
    here: list[str] = []
    with site(lambda *_: Page(301, b"", {"Location": here[0]})) as url:
        here.append(f"{url.replace('http:', 'https:')}/api/metrics")
        report = doctor("--url", f"{url}/api/metrics", METRICS_AUTH_TOKEN=TOKEN)
    assert report.failed == {"redirect"}
    assert "use https:// here" in report.text("redirect")


@pytest.mark.parametrize("goal", ["https://www.example.org/api/metrics?x=1", "/en/api/metrics"])
def test_a_redirect_is_reported_with_its_target(doctor: Doctor, goal: str) -> None:
    """The report has the target of a redirect, and no token is sent there."""
    asked = []

    def answer(_path: str, headers: Mapping[str, str]) -> Page:
        asked.append(headers)
        return Page(308, b"", {"Location": goal})

    with site(answer) as url:
        report = doctor("--url", url, METRICS_AUTH_TOKEN=TOKEN)
    assert report.failed == {"redirect"}
    assert goal.partition("?")[0] in report.text("redirect")
    assert len(asked) == 1
    assert "authorization" not in asked[0]


def test_a_wrong_setting_of_the_deployment_is_found(doctor: Doctor) -> None:
    """The page of a deployment with a wrong variable names it; from outside that is a failed check."""
    with host_server({"ENABLE_METRICS": "true", "METRICS_AUTH_TOKEN": TOKEN, "METRICS_SHARDS": "many"}) as server:
        report = doctor("--url", server.url, METRICS_AUTH_TOKEN=TOKEN)
    assert report.failed == {"settings"}
    assert report.code == 1
    assert "METRICS_SHARDS must be a whole number" in report.text("settings")
    assert "correct that variable where the functions run" in report.text("settings")


def test_a_refused_token_of_redis_is_not_taken_for_ours(doctor: Doctor) -> None:
    """Upstash calls its password a token; the advice is about REDIS_URL."""
    said = b"the store could not be read: Redis: WRONGPASS invalid or missing auth token\n"

    def answer(path: str, asked: Mapping[str, str]) -> Page:
        return Page(503, said) if TOKEN in asked.get("authorization", "") else endpoint()(path, asked)

    with site(answer) as url:
        report = doctor("--url", url, METRICS_AUTH_TOKEN=TOKEN)
    assert report.failed == {"store"}
    assert "correct the user and the password in REDIS_URL" in report.text("store")


@pytest.mark.parametrize(
    "words",
    [
        b"<html>The plain HTTP request was sent to HTTPS port</html>",
        b"Client sent an HTTP request to an HTTPS server.",
        b"You're speaking plain HTTP to an SSL-enabled server port.",
    ],
)
def test_a_server_that_wants_https_is_understood(doctor: Doctor, words: bytes) -> None:
    """nginx, Go and Apache say that the port is for TLS, each in its own words."""
    with site(lambda *_: Page(400, words)) as url:
        report = doctor("--url", url, METRICS_AUTH_TOKEN=TOKEN)
    assert "use https:// here" in report.text("door")


def test_a_function_that_fails_is_reported_with_the_platform_s_error(doctor: Doctor) -> None:
    """The report has the platform's error for a 500, and says where the log is."""
    with site(lambda *_: Page(500, b"A server error", {"x-vercel-error": "FUNCTION_INVOCATION_FAILED"})) as url:
        report = doctor("--url", url, METRICS_AUTH_TOKEN=TOKEN)
    assert report.failed == {"door"}
    assert "FUNCTION_INVOCATION_FAILED" in report.text("door")
    assert "vercel logs" in report.text("door")


def test_a_site_that_never_answers_ends_with_the_time_limit(doctor: Doctor) -> None:
    """A server that accepts the connection and is silent ends at the time limit."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        report = doctor("--url", f"http://127.0.0.1:{port}", "--timeout", "0.3", METRICS_AUTH_TOKEN=TOKEN)
    assert report.failed == {"door"}
    assert "within 0.3 s" in report.text("door")


def test_a_site_that_never_comes_to_an_end_ends_with_the_time_limit(doctor: Doctor) -> None:
    """A server that sends its headers one character at a time ends at the time limit too."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            with contextlib.suppress(OSError):  # the listener or the client is closed
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=endless, args=(client,), daemon=True).start()

        def endless(client: socket.socket) -> None:
            with client, contextlib.suppress(OSError):
                client.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
                while True:
                    client.sendall(b"x")
                    time.sleep(0.05)

        threading.Thread(target=drip, daemon=True).start()
        port = listener.getsockname()[1]
        report = doctor("--url", f"http://127.0.0.1:{port}", "--timeout", "0.5", METRICS_AUTH_TOKEN=TOKEN)
        listener.shutdown(socket.SHUT_RDWR)
    assert report.failed == {"door"}
    assert "within 0.5 s" in report.text("door")


@pytest.mark.parametrize(
    ("host", "check", "expected"),
    [
        ("metrics.invalid", "dns", "correct the name, or wait until its DNS entry"),
        ("a..b", "dns", "correct the name, or wait until its DNS entry"),
        ("127.0.0.1", "connection", "correct scheme, host and port"),
    ],
)
def test_a_wrong_host_is_told_from_a_closed_port(doctor: Doctor, host: str, check: str, expected: str) -> None:
    """The first fault is named, and the checks after it are skipped."""
    report = doctor("--url", f"http://{host}:{free_port()}", "--timeout", "5", METRICS_AUTH_TOKEN=TOKEN)
    assert report.failed == {check}
    assert expected in report.text(check)
    assert report.mark("store") == report.mark("page") == "skipped"


@pytest.mark.parametrize(
    ("days", "trusted", "found"),
    [
        (90, True, ("ok", "89 days more")),
        (5, True, ("warn", "ends in 4 days -> renew it")),
        (-1, True, ("fail", "Prometheus refuses it, too: renew it, or let the platform")),
        (90, False, ("fail", "self-signed")),
    ],
)
def test_certificates_are_checked(
    doctor: Doctor, tmp_path: Path, days: int, trusted: bool, found: tuple[str, str]
) -> None:
    """A certificate that expires soon is a warning; an expired or untrusted one is a failure."""
    mark, expected = found
    certificate = make_certificate(tmp_path / "site.pem", days)
    given = {"SSL_CERT_FILE": str(certificate)} if trusted else {}
    with site(endpoint(), certificate) as url:
        report = doctor("--url", url, METRICS_AUTH_TOKEN=TOKEN, **given)
    assert report.mark("connection") == mark
    assert expected in report.text("connection")
    assert report.mark("page") == ("skipped" if mark == "fail" else "ok")


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_the_wrong_scheme_is_found(doctor: Doctor, tmp_path: Path, scheme: str) -> None:
    """https for a server without TLS, and http for one with TLS, get advice about the scheme."""
    certificate = make_certificate(tmp_path / "site.pem", 90) if scheme == "http" else None
    with site(endpoint(), certificate) as url:
        wrong = url.replace("https" if scheme == "http" else "http", scheme)
        report = doctor("--url", wrong, METRICS_AUTH_TOKEN=TOKEN)
    [check] = report.failed
    assert {"https": "`scheme`, too", "http": "use https:// here"}[scheme] in report.text(check)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--url", "cms.example.org"], "must start with https://"),
        (["--url", "https://user:hush@cms.example.org"], "no user"),
        (["--url", "https://cms.example.org:99999"], "out of range"),
        (["--url", "http://127.0.0.1", "--header", "x"], "NAME=VALUE"),
        (["--url", "http://127.0.0.1", "--header", "x y=hush"], "'x y' is no name of a header"),
        (["--url", "http://127.0.0.1", "--header", "x=hush\nhush"], "can't be sent"),
        (["--url", "http://127.0.0.1", "--token-env", "NOTHING"], "NOTHING must hold the bearer token"),
        (["--url", "http://127.0.0.1", "--token-env", "BROKEN"], "BROKEN has a character that a header may not have"),
        (["--url", "http://127.0.0.1/métriques"], "percent-encode"),
    ],
)
def test_arguments_that_can_not_work_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    """A malformed argument is named on one line, the exit code is 2, and no secret is shown."""
    monkeypatch.setenv("METRICS_AUTH_TOKEN", TOKEN)
    monkeypatch.setenv("BROKEN", "hush\nhush")
    assert main(["doctor", *arguments]) == 2
    printed = capsys.readouterr()
    assert expected in printed.err
    assert printed.err.count("\n") == 1
    assert "hush" not in printed.err + printed.out


def test_a_page_over_plain_http_on_the_net_is_a_warning() -> None:
    """A token in clear text is a warning, except on this machine and inside a cluster."""
    from lib.kairo_metrics.cli.doctor import access_checks

    target = SimpleNamespace(host="cms.example.org", port=80)
    clear = access_checks._connected(target, None)  # type: ignore[arg-type]
    assert clear.mark == "warn"
    assert "use https://: else the token" in clear.advice
    for host in ("127.0.0.1", "localhost", "kairo-cms"):
        assert access_checks._connected(SimpleNamespace(host=host, port=80), None).mark == "ok"  # type: ignore[arg-type]
