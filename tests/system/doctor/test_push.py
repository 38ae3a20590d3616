"""`doctor` asks the receiver of pushes, in each protocol, without sending it a sample."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.kairo_metrics.endpoints import push_packages
from tests.support.doctor_run import Doctor, healthy
from tests.support.ports import free_port
from tests.support.write_receiver import Reply, WriteReceiver, write_receiver

SECRET = {"CRON_SECRET": "a-secret-of-the-cron"}
SIGNED = {
    "METRICS_REMOTE_WRITE_SIGV4_REGION": "eu-west-1",
    "METRICS_REMOTE_WRITE_SIGV4_ACCESS_KEY": "AKIA",
    "METRICS_REMOTE_WRITE_SIGV4_SECRET_KEY": "hush-hush",
}
UNAWARE = Reply(204, headers={})


def pushing(redis_url: str, url: str, protocol: str = "remote-write", **more: str) -> dict[str, str]:
    """Return the variables of a deployment that pushes."""
    where = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT" if protocol == "otlp" else "METRICS_REMOTE_WRITE_URL"
    return {**healthy(redis_url), **SECRET, where: url, "METRICS_PUSH_PROTOCOL": protocol, **more}


def test_without_a_receiver_there_is_nothing_to_check(doctor: Doctor, redis_url: str) -> None:
    """A deployment that is scraped has no finding about pushes."""
    assert "push" not in doctor(**healthy(redis_url)).checks


@pytest.mark.parametrize(
    ("protocol", "replies", "told"),
    [
        ("remote-write", (Reply(),), "remote write 2.0"),
        ("remote-write", (UNAWARE,), "remote write 1.0"),
        ("remote-write", (Reply(415), Reply()), "remote write 1.0"),
        ("remote-write", (Reply(400, "no", headers={}), Reply()), "remote write 1.0"),
        ("remote-write-1", (Reply(),), "remote write 1.0"),
        ("otlp", (Reply(200),), "OTLP"),
    ],
)
def test_each_protocol_is_checked(
    doctor: Doctor, redis_url: str, protocol: str, replies: tuple[Reply, ...], told: str
) -> None:
    """The version that the receiver takes is told, and no sample has reached it."""
    with write_receiver(*replies) as receiver:
        report = doctor(**pushing(redis_url, receiver.url, protocol))
    assert report.checks["push"] == ("ok", f"the receiver takes {told}, and accepts the login", "")
    assert [request.samples for request in receiver.received] == [[]] * len(receiver.received)


def test_a_receiver_that_wants_samples_is_no_fault(doctor: Doctor, redis_url: str) -> None:
    """One that refuses an empty request has read it."""
    with write_receiver(Reply(400, "empty", headers={})) as receiver:
        report = doctor(**pushing(redis_url, receiver.url))
    assert report.mark("push") == "ok"
    assert "accepts the login: 127.0.0.1 answered 400: empty" in report.text("push")


@pytest.mark.parametrize(
    ("protocol", "variables"),
    [("remote-write", "METRICS_REMOTE_WRITE_USERNAME and "), ("otlp", "OTEL_EXPORTER_OTLP_HEADERS")],
)
@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_login_is_found(doctor: Doctor, redis_url: str, protocol: str, variables: str, status: int) -> None:
    """The finding has the receiver's words, and the advice the variables of that protocol."""
    with write_receiver(Reply(status, "who are you")) as receiver:
        report = doctor(**pushing(redis_url, receiver.url, protocol))
    assert report.failed == {"push"}
    assert f"127.0.0.1 answered {status}: who are you -> correct {variables}" in report.text("push")


def test_a_refused_signature_is_found(doctor: Doctor, redis_url: str) -> None:
    """For Amazon's receiver the advice is about the role and the region; no key is shown."""
    with write_receiver(Reply(403, "not authorized")) as receiver:
        report = doctor(**pushing(redis_url, receiver.url, **SIGNED))
    assert "let this role do aps:RemoteWrite there" in report.text("push")
    assert "hush-hush" not in report.printed


def test_without_a_key_the_signature_is_named(
    doctor: Doctor, redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """If botocore finds no key, nothing is sent."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "PROFILE"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with write_receiver() as receiver:
        report = doctor(**pushing(redis_url, receiver.url, METRICS_REMOTE_WRITE_SIGV4_REGION="eu-west-1"))
    assert "make a key of AWS known here" in report.text("push")
    assert receiver.received == []


@pytest.mark.parametrize("protocol", ["remote-write", "remote-write-1", "otlp"])
def test_a_wrong_address_is_found(doctor: Doctor, redis_url: str, protocol: str) -> None:
    """A path that is none, a redirect, and a closed port are told, with the variable to correct."""
    variable = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT" if protocol == "otlp" else "METRICS_REMOTE_WRITE_URL"
    for reply in (Reply(404, "no such page"), Reply(301, headers={"Location": "https://elsewhere.example.org/"})):
        with write_receiver(reply) as receiver:
            report = doctor(**pushing(redis_url, receiver.url, protocol))
        assert f"answered {reply.status}" in report.text("push")
        assert f"correct {variable}, or look at the receiver's log" in report.text("push")
    closed = doctor("--timeout", "1", **pushing(redis_url, f"http://127.0.0.1:{free_port()}/", protocol))
    assert "127.0.0.1 could not be reached" in closed.text("push")


def test_a_protocol_without_a_receiver_is_found(doctor: Doctor, redis_url: str) -> None:
    """OTLP does not go to the receiver of remote write."""
    url = {"METRICS_REMOTE_WRITE_URL": "https://prometheus.example.org/api/v1/write"}
    report = doctor(**healthy(redis_url), **url, METRICS_PUSH_PROTOCOL="otlp")
    assert report.mark("push") == "warn"
    assert "set OTEL_EXPORTER_OTLP_METRICS_ENDPOINT, or unset METRICS_PUSH_PROTOCOL" in report.text("push")


def test_a_missing_secret_is_found(doctor: Doctor, redis_url: str) -> None:
    """Without CRON_SECRET nobody can ask for a push."""
    with write_receiver() as receiver:
        report = doctor(**pushing(redis_url, receiver.url, CRON_SECRET=""))
    assert report.mark("push") == "warn"
    assert "set CRON_SECRET, and deploy again" in report.text("push")


def test_an_absent_package_is_found(doctor: Doctor, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """OTLP needs a package more, and the finding names it."""
    monkeypatch.setattr(push_packages, "import_module", _absent)
    push_packages._otlp_flaw.cache_clear()
    report = doctor(**pushing(redis_url, "http://127.0.0.1:1/v1/metrics", "otlp"))
    push_packages._otlp_flaw.cache_clear()
    assert "the package opentelemetry-proto can't be used: No module named 'opentelemetry'" in report.text("push")
    assert "add that package to what the deployment installs" in report.text("push")


def _absent(*_: str) -> WriteReceiver:
    raise ModuleNotFoundError("No module named 'opentelemetry'")
