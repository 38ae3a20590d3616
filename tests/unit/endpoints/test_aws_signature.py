"""Requests signed for Amazon Managed Service for Prometheus, checked without AWS' SDK."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from lib.kairo_metrics.config.push_settings import PushSettings
from tests.support.aws_signature import scope_of, signature, signature_of
from tests.support.push_settings import push_settings
from tests.support.pushing import Pushing
from tests.support.write_receiver import Reply, WriteReceiver, write_receiver

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION = {"sigv4_region": "eu-central-1"}
GIVEN = {**REGION, "sigv4_access_key": KEY, "sigv4_secret_key": SECRET}


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let botocore find no key of this machine."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "PROFILE", "DEFAULT_PROFILE"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))


def check(receiver: WriteReceiver, key: str = KEY, secret: str = SECRET, also: str = "") -> None:
    """Fail unless all requests are signed with this key, for this region and service."""
    assert receiver.received
    for request in receiver.received:
        used, scope, signed = scope_of(request.headers)
        assert used == key
        assert scope.split("/")[1:] == ["eu-central-1", "aps", "aws4_request"]
        assert {"host", "x-amz-date", "content-type", "content-encoding"} <= set(signed)
        assert not also or also in signed
        expected = signature("POST", receiver.url, request.headers, request.body, secret, scope, signed)
        assert signature_of(request.headers) == expected


def test_the_check_itself_agrees_with_aws_own_example() -> None:
    """AWS' documentation has a request and its signature."""
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        "Host": "iam.amazonaws.com",
        "X-Amz-Date": "20150830T123600Z",
    }
    url = "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08"
    made = signature(
        "GET", url, headers, b"", SECRET, "20150830/us-east-1/iam/aws4_request", ["content-type", "host", "x-amz-date"]
    )
    assert made == "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"


@pytest.mark.parametrize("protocol", ["remote-write", "remote-write-1"])
def test_each_request_is_signed(protocol: str) -> None:
    """The signature is the one that AWS computes, for each version of remote write and each attempt."""
    with write_receiver(Reply(503), Reply(415), Reply(204, headers={})) as receiver:
        receiver.url = receiver.url.replace("/api/v1/write", "/workspaces/ws-1/api/v1/remote_write?a=b%20c&Z=1")
        Pushing(receiver, protocol, **GIVEN).push()
    assert len(receiver.received) >= 2
    check(receiver)


def test_the_role_of_a_function_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Lambda the key is in AWS' own variables, with a session token, which is signed as well."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-session-token")
    with write_receiver() as receiver:
        Pushing(receiver, **REGION).push()
    check(receiver, "ASIAEXAMPLE", "another-secret", also="x-amz-security-token")
    sent = {name.lower(): value for name, value in receiver.received[0].headers.items()}
    assert sent["x-amz-security-token"] == "a-session-token"


def test_a_profile_signs(tmp_path: Path) -> None:
    """As in Prometheus' `sigv4` block, a profile of the shared file may be named."""
    (tmp_path / "credentials").write_text(
        "[metrics]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = of-profile\n"
    )
    with write_receiver() as receiver:
        Pushing(receiver, **REGION, sigv4_profile="metrics").push()
    check(receiver, "AKIAOTHER", "of-profile")


def test_a_role_is_taken_on_before_signing() -> None:
    """The role's own key signs, which STS gives for a time."""
    with mock_aws(), write_receiver() as receiver:
        Pushing(receiver, **GIVEN, sigv4_role_arn="arn:aws:iam::123456789012:role/metrics").push()
    [request] = receiver.received
    key, _, signed = scope_of(request.headers)
    assert key.startswith("ASIA")
    assert "x-amz-security-token" in signed


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "no key to sign with was found: give this function a role, or set METRICS_REMOTE_WRITE_SIGV4_ACCESS_KEY"),
        ({"sigv4_profile": "absent"}, "could not be signed for AWS: The config profile (absent) could not be found"),
    ],
)
def test_without_a_key_nothing_is_sent(changes: dict[str, Any], says: str) -> None:
    """The push ends, and the answer says what to do."""
    with write_receiver() as receiver:
        outcome = Pushing(receiver, **REGION, **changes).push()
    assert receiver.received == []
    assert outcome.values.ended
    assert says in outcome.values.reason


def test_without_botocore_the_answer_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of Lambda the package has to be installed."""
    monkeypatch.setitem(sys.modules, "botocore.auth", None)
    with write_receiver() as receiver:
        outcome = Pushing(receiver, **GIVEN).push()
    assert "botocore can't be imported" in outcome.values.reason
    assert "pip install botocore" in outcome.values.reason


def test_what_aws_repeats_of_a_request_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS answers a wrong signature with the request that it expected, session token included."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-session-token")
    with write_receiver(Reply(403, "the canonical request is x-amz-security-token:a-session-token")) as receiver:
        outcome = Pushing(receiver, **REGION).push()
    assert "x-amz-security-token:***" in outcome.values.named[0][1]


def test_no_setting_shows_the_key() -> None:
    """Settings can be logged."""
    settings: PushSettings = push_settings("https://aps-workspaces.eu-central-1.amazonaws.com/w", **GIVEN)
    assert SECRET not in repr(settings)
    assert KEY not in repr(settings)
