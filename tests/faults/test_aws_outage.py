"""What happens when AWS is away, silent or says no."""

from __future__ import annotations

import socket
import sys

import pytest

from lib.kairo_metrics import TokenSourceError
from lib.kairo_metrics.endpoints.token_sources import ParameterStore, SecretsManager, TokenSource
from tests.support.aws_account import PARAMETER, SECRET, use_account


@pytest.mark.parametrize("source", [SecretsManager(SECRET), ParameterStore(PARAMETER)])
def test_a_silent_aws_is_asked_twice_and_given_up(silent_aws: list[socket.socket], source: TokenSource) -> None:
    """No answer is no verdict on the tokens, and it does not hold the thread for ever."""
    with pytest.raises(TokenSourceError, match="ReadTimeoutError") as caught:
        source.read()
    assert not caught.value.final
    assert len(silent_aws) == 2


@pytest.mark.parametrize(
    ("url", "error"), [("http://127.0.0.1:1", "EndpointConnectionError"), ("no address", "ValueError")]
)
def test_an_unreachable_aws_is_no_verdict(monkeypatch: pytest.MonkeyPatch, url: str, error: str) -> None:
    """AWS out of reach leaves it open whether the tokens are still good."""
    use_account(monkeypatch, url)
    with pytest.raises(TokenSourceError, match=error) as caught:
        SecretsManager(SECRET).read()
    assert not caught.value.final


@pytest.mark.parametrize(
    ("source", "title"),
    [(SecretsManager(SECRET), "AWS Secrets Manager"), (ParameterStore(PARAMETER), "AWS Systems Manager")],
)
def test_no_permission_is_no_verdict_and_only_the_log_names_the_account(
    refusing_aws: str, source: TokenSource, title: str
) -> None:
    """A role that may not read the secret is told to whoever asks by its code alone."""
    with pytest.raises(TokenSourceError) as caught:
        source.read()
    assert str(caught.value) == f"the token could not be read from {title}: AccessDeniedException"
    assert refusing_aws in caught.value.detail
    assert not caught.value.final


@pytest.mark.usefixtures("aws")
def test_no_region_at_all_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name without a region to look it up in is an error that says so."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(TokenSourceError, match="NoRegionError") as caught:
        SecretsManager(SECRET).read()
    assert "(no region)" in caught.value.detail


def test_without_boto3_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Away from Lambda boto3 is the user's to install, and the error says so."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(TokenSourceError) as caught:
        SecretsManager(SECRET).read()
    assert str(caught.value) == "the token is in AWS Secrets Manager, and boto3 is not installed"
    assert "AWS Lambda provides it, elsewhere: pip install boto3" in caught.value.detail
