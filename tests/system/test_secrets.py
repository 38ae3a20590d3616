"""No secret appears in any output, log, response or error."""

from __future__ import annotations

import base64
import os
import socketserver
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from lib.kairo_cms.database_url import DatabaseUrl
from lib.kairo_metrics import Settings, SettingsError
from lib.kairo_metrics.cli.doctor.http_client import Target
from lib.kairo_metrics.config.dev_settings import DevSettings
from lib.kairo_metrics.config.push_settings import PushSettings
from lib.kairo_metrics.endpoints.bearer_auth import BearerAuth
from lib.kairo_metrics.endpoints.logins import login_of
from lib.kairo_metrics.endpoints.pusher import Pusher
from lib.kairo_metrics.endpoints.receiver_answers import Version1Answers
from lib.kairo_metrics.endpoints.receiver_client import ReceiverClient
from lib.kairo_metrics.endpoints.token_cache import TokenCache
from lib.kairo_metrics.errors import KairoError, KeysElsewhere, StoreError, StoreRefused, StoreUnavailable
from lib.kairo_metrics.exposition.push_format import Body
from lib.kairo_metrics.store.connections.connection_arguments import readable
from lib.kairo_metrics.store.redis_store import RedisStore
from tests.support.dev_server import _FOREIGN, REPOSITORY, dev_server
from tests.support.host_server import host_server
from tests.support.instance import Start
from tests.support.ports import free_port
from tests.support.tls_front import TlsFront
from tests.support.write_receiver import Reply, write_receiver

# By variable. Each holds the same word, and characters that a URL can't hold.
HUSH = "hushhush"
TOKENS = f"{HUSH}-token-1,{HUSH}-token-2"
REDIS_PASSWORD, DATABASE_PASSWORD, CRON_SECRET = f"{HUSH}/redis", f"{HUSH}/database", f"{HUSH}-cron"
PUSH_PASSWORD = f"{HUSH}:push"
BASIC = base64.b64encode(f"1234:{PUSH_PASSWORD}".encode()).decode()


def assert_no_secret(*texts: str) -> None:
    """Fail if a text holds a secret: as it is, percent-encoded, or in a basic login."""
    for text in texts:
        assert HUSH not in text.lower(), text
        assert BASIC not in text, text
        assert quote(HUSH, safe="") not in text, text


def variables(redis_at: str, **more: str) -> dict[str, str]:
    """Return an environment with a secret in each variable that can hold one."""
    scheme, _, place = redis_at.partition("//")
    return {
        "ENABLE_METRICS": "true",
        "METRICS_AUTH_TOKEN": TOKENS,
        "REDIS_URL": f"{scheme}//kairo:{quote(REDIS_PASSWORD, safe='')}@{place}",
        "METRICS_READ_URL": f"{scheme}//kairo:{quote(REDIS_PASSWORD, safe='')}@{place}",
        "METRICS_REMOTE_WRITE_URL": f"http://127.0.0.1:{free_port()}/push",
        "METRICS_REMOTE_WRITE_USERNAME": "1234",
        "METRICS_REMOTE_WRITE_PASSWORD": PUSH_PASSWORD,
        "METRICS_REMOTE_WRITE_TIMEOUT_MS": "1000",
        "CRON_SECRET": CRON_SECRET,
        "DATABASE_URL": f"postgres://me:{quote(DATABASE_PASSWORD, safe='')}@127.0.0.1:{free_port()}/cms",
        "PROMETHEUS_URL": f"http://me:{HUSH}@127.0.0.1:{free_port()}",
        **more,
    }


PEM = f"-----BEGIN CERTIFICATE-----\n{HUSH}\n-----END CERTIFICATE-----"
# A malformed value, and the word that the error must have.
MALFORMED = [
    {"METRICS_AUTH_TOKEN": f"{HUSH},"},
    {"METRICS_AUTH_TOKEN_SECRET_ID": "name"},
    {"REDIS_URL": f"https://:{HUSH}@host"},
    {"REDIS_URL": f"redis://:{HUSH}@host:port"},
    {"REDIS_URL": f"redis://:{HUSH}/x@host"},
    {"REDIS_URL": f"redis://:12?{HUSH}@host"},
    {"REDIS_URL": f"redis://:12?{HUSH}=x@host"},
    {"REDIS_URL": f"redis://:12#{HUSH}@host"},
    {"REDIS_URL": f"redis://:{HUSH}@host?unknown=1"},
    {"REDIS_URL": f"redis://:{HUSH}@one:port,two"},
    {"REDIS_URL": f"redis+sentinel://:{HUSH}@one,two"},
    {"REDIS_URL": f"redis+sentinel://one/main?sentinel_password={HUSH}&unknown=1"},
    {"REDIS_URL": f"redis+sentinel://:12/main?{HUSH}=x@one/main"},
    {"METRICS_READ_URL": f"redis://:{HUSH}@host:port"},
    {"KV_URL": f"{HUSH}@host", "REDIS_URL": ""},
    {"REDIS_TLS_URL": f"redis://[{HUSH}@host", "REDIS_URL": ""},
    {"METRICS_REDIS_TLS_CA": PEM},
    {"METRICS_REDIS_TLS_CA": f'"{PEM}"'},
    {"METRICS_REDIS_TLS_CA": f"MII{HUSH}" * 100},
    {"METRICS_REDIS_TLS_CA": "-----BEGIN PRIVATE KEY-----\\n" + HUSH},
    {"METRICS_REMOTE_WRITE_URL": f"https://me:{HUSH}@host/push"},
    {"METRICS_REMOTE_WRITE_URL": f"https://me:12?{HUSH}@host/push"},
    {"METRICS_REMOTE_WRITE_URL": f"https://me:{HUSH}/push@host:port"},
    {"METRICS_REMOTE_WRITE_TOKEN": HUSH},
    {
        "METRICS_REMOTE_WRITE_TOKEN": f"{HUSH} {HUSH}",
        "METRICS_REMOTE_WRITE_USERNAME": "",
        "METRICS_REMOTE_WRITE_PASSWORD": "",
    },
    {"METRICS_REMOTE_WRITE_USERNAME": ""},
    {"METRICS_REMOTE_WRITE_USERNAME": f"1234:{HUSH}"},
    {"PROMETHEUS_URL": f"ftp://me:{HUSH}@host"},
    {"PROMETHEUS_URL": f"http://me:12#{HUSH}@host"},
]


@pytest.mark.parametrize("changes", MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_variable_is_named_and_not_repeated(changes: dict[str, str]) -> None:
    """The error for a malformed variable, its repr and its whole traceback do not show the secret."""
    environ = variables("redis://127.0.0.1:1", **changes)
    texts = []
    for read in (Settings.from_env, PushSettings.from_env, DevSettings.from_env):
        try:
            read(environ)
        except SettingsError as err:
            texts += [str(err), repr(err), "".join(traceback.format_exception(err))]
    assert texts
    assert any(variable in texts[0] for variable in changes)
    assert_no_secret(*texts)


def test_nothing_with_a_secret_in_it_shows_it() -> None:
    """Settings, tokens, logins and objects made from them can be logged."""
    environ = variables("redis://127.0.0.1:1")
    settings, pushes = Settings.from_env(environ), PushSettings.from_env(environ)
    made = [settings, pushes, DevSettings.from_env(environ), RedisStore(settings), Pusher(pushes)]
    made += [login_of(pushes), PushSettings(protocol="otlp", otlp_headers={"Authorization": f"Basic {HUSH}"})]
    made += [PushSettings(sigv4_region="eu-west-1", sigv4_access_key="AKIA", sigv4_secret_key=HUSH)]
    made += [BearerAuth(settings.auth_tokens), TokenCache(settings.auth_tokens), PushSettings(token=HUSH)]
    made += [Target("https://cms.example.org", {"x-vercel-protection-bypass": HUSH})]
    made += [DatabaseUrl.parse(environ["DATABASE_URL"], 5.0).url]
    assert_no_secret(*map(repr, made), *map(str, made))


class _EchoServer(socketserver.StreamRequestHandler):
    """A server that knows no command and repeats what it received, as some Redis proxies do."""

    def handle(self) -> None:
        while (head := self.rfile.readline()).startswith(b"*"):
            words = [self.rfile.read(int(self.rfile.readline()[1:]) + 2)[:-2] for _ in range(int(head[1:]))]
            arguments = b" ".join(b"'%b'" % word for word in words[1:])
            self.wfile.write(b"-ERR unknown command '%b', with args beginning with: %b\r\n" % (words[0], arguments))


@contextmanager
def echo_server() -> Iterator[str]:
    """Return the address of such a server."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _EchoServer) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"redis://127.0.0.1:{server.server_address[1]}/0"
        server.shutdown()
        thread.join()


async def test_a_redis_that_repeats_the_login_is_not_repeated(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """The error has the reply of the server without the password, from the event loop and from a thread."""
    with echo_server() as url:
        instance = start(variables(url)["REDIS_URL"])
        for flush in (instance.flusher.aflush, None):
            instance.add('queue="a"')
            with pytest.raises(StoreError, match="unknown command 'AUTH'") as caught:
                await flush() if flush else instance.flusher.flush()
            assert_no_secret(*traceback.format_exception(caught.value), caplog.text)


@pytest.mark.parametrize(
    "refusal",
    [
        StoreRefused(f"Redis: {HUSH}"),
        StoreUnavailable(f"Redis: {HUSH}", broken=True),
        KeysElsewhere(f"Redis: MOVED 1 {HUSH}:6379", 1, HUSH, 6379, asking=False),
    ],
    ids=lambda refusal: type(refusal).__name__,
)
def test_the_error_of_a_refused_login_does_not_repeat_it(refusal: StoreError) -> None:
    """The text of the error has no password in it."""
    assert_no_secret(readable(str(refusal), [("AUTH", "kairo", HUSH), ("SELECT", "1")]))


@pytest.mark.parametrize(
    "way",
    [
        {"token": HUSH},
        {"username": "1234", "password": PUSH_PASSWORD},
        {"protocol": "otlp", "otlp_headers": {"x-api-key": HUSH, "Authorization": f"Basic {BASIC}"}},
    ],
)
def test_a_receiver_that_repeats_the_login_is_not_repeated(way: dict[str, Any]) -> None:
    """The error has the receiver's refusal without the login in it."""
    for padding in ("", "x" * 290):
        quoted = f"{padding}no: Bearer {HUSH} Basic {BASIC} {PUSH_PASSWORD}"
        with write_receiver(Reply(401, quoted)) as receiver:
            pushes = PushSettings(url=receiver.url, **way)
            sender = ReceiverClient(receiver.url, login_of(pushes), {}, Version1Answers())
            with pytest.raises(KairoError, match="answered 401") as caught:
                sender.send(Body(b""), deadline_s=time.monotonic() + 30)
        shown = "".join(traceback.format_exception(caught.value))
        secret = HUSH if "token" in way else BASIC
        assert secret not in shown
        assert PUSH_PASSWORD not in shown or "token" in way


def run(arguments: list[str], environ: Mapping[str, str]) -> str:
    """Run a command of the program, or Python code, which must fail; return what it printed."""
    inherited = {name: value for name, value in os.environ.items() if not _FOREIGN.fullmatch(name)}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env={**inherited, **environ},
        capture_output=True,
        timeout=60,
        check=False,
    )
    printed = (done.stdout + done.stderr).decode()
    assert done.returncode != 0, printed
    assert printed
    return printed


def test_no_command_prints_a_secret(redis_url: str) -> None:
    """Doctor, series, wipe and the dev server print no secret, with malformed settings or without Redis."""
    cli = ["-m", "lib.kairo_metrics"]
    gone = variables(f"redis://127.0.0.1:{free_port()}/0")
    malformed = {**gone, "REDIS_URL": f"redis://:12?{HUSH}@host", "METRICS_REMOTE_WRITE_URL": f"https://x:{HUSH}@host"}
    with TlsFront(redis_url) as front, echo_server() as repeating:
        untrusted, wrong = variables(front.url), variables(redis_url)
        doctor = [*cli, "doctor", "--timeout", "2"]
        outside = [
            *doctor,
            "--url",
            f"http://127.0.0.1:{free_port()}",
            "--header",
            f"x-vercel-protection-bypass={HUSH}",
        ]
        runs: list[tuple[list[str], dict[str, str]]] = [
            *((doctor, environ) for environ in (gone, malformed, untrusted, wrong, variables(repeating))),
            (outside, gone),
            ([*cli, "doctor", "--url", "http://127.0.0.1", "--header", HUSH], gone),
            ([*cli, "doctor", "--url", f"ftp://x:{HUSH}@host"], gone),
            ([*cli, "series"], wrong),
            ([*cli, "wipe", "--yes"], untrusted),
            ([*cli, "dev"], malformed),
        ]
        with ThreadPoolExecutor(2) as pool:
            printed = list(pool.map(lambda one: run(*one), runs))
    assert_no_secret(*printed)


def test_no_server_answers_or_logs_a_secret() -> None:
    """Responses and log have no secret if Redis, database and receiver are unreachable and credentials are wrong."""
    with host_server(variables(f"redis://127.0.0.1:{free_port()}/0")) as server:
        texts = list(ask(server.url))
        assert server.stop() == 0
        assert_no_secret(*texts, server.output)
    assert [answer[:3] for answer in texts] == ["503", "401", "503", "401", "503", "503", "404"]


def test_the_dev_server_prints_no_secret_but_its_token() -> None:
    """The token is printed to be pasted; no other secret is, even if Redis, database and Prometheus are unreachable."""
    environ = variables(f"redis://127.0.0.1:{free_port()}/0", METRICS_AUTH_TOKEN="to-be-pasted")
    with dev_server(env=environ) as server:
        paths = ("/dashboard", "/dashboard/api/v1/query?query=up")
        texts = [*ask(server.url, "to-be-pasted"), *(httpx.get(server.url + path).text for path in paths)]
        assert "to-be-pasted" in server.output
        assert_no_secret(*texts, server.output)


def ask(url: str, token: str = f"{HUSH}-token-1") -> Iterator[str]:
    """Request every path, with good and bad credentials."""
    good, cron = {"Authorization": f"Bearer {token}"}, {"Authorization": f"Bearer {CRON_SECRET}"}
    wrong = {"Authorization": f"Bearer {HUSH}-guess"}
    for path, headers in (
        ("/api/metrics", good),
        ("/api/metrics", wrong),
        ("/api/push", cron),
        ("/api/push", wrong),
        ("/api/health?ready=1", {}),
        ("/api/content", {"X-Tenant": "acme"}),
        ("/api/nothing", good),
    ):
        answer = httpx.get(url + path, headers=headers, timeout=30)
        yield f"{answer.status_code} {answer.headers} {answer.text}"
