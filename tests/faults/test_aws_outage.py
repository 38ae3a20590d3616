"""AWS is unreachable, does not answer, or refuses."""

from __future__ import annotations

import socket
import sys

import pytest

from lib.kairo_metrics import TokenSourceError
from lib.kairo_metrics.endpoints.token_sources import ParameterStore, SecretsManager, TokenSource
from tests.support.aws_account import PARAMETER, SECRET, use_account


@pytest.mark.parametrize("source", [SecretsManager(SECRET), ParameterStore(PARAMETER)])
def test_a_silent_aws_is_asked_twice_and_given_up(silent_aws: list[socket.socket], source: TokenSource) -> None:
    """Without an answer the tokens stay as they are, and the thread waits only for two attempts."""
    with pytest.raises(TokenSourceError, match="ReadTimeoutError") as caught:
        source.read()
    assert not caught.value.final
    assert len(silent_aws) == 2


@pytest.mark.parametrize(
    ("url", "error"), [("http://127.0.0.1:1", "EndpointConnectionError"), ("no address", "ValueError")]
)
def test_an_unreachable_aws_is_a_temporary_error(monkeypatch: pytest.MonkeyPatch, url: str, error: str) -> None:
    """If AWS is unreachable, the error is not final, so the known tokens stay valid."""
    use_account(monkeypatch, url)
    with pytest.raises(TokenSourceError, match=error) as caught:
        SecretsManager(SECRET).read()
    assert not caught.value.final


@pytest.mark.parametrize(
    ("source", "title"),
    [(SecretsManager(SECRET), "AWS Secrets Manager"), (ParameterStore(PARAMETER), "AWS Systems Manager")],
)
def test_a_missing_permission_is_a_temporary_error_and_only_the_log_names_the_account(
    refusing_aws: str, source: TokenSource, title: str
) -> None:
    """If the role may not read the secret, the error has only AWS' code; its detail, for the log, names the account."""
    with pytest.raises(TokenSourceError) as caught:
        source.read()
    assert str(caught.value) == f"the token could not be read from {title}: AccessDeniedException"
    assert refusing_aws in caught.value.detail
    assert not caught.value.final


@pytest.mark.usefixtures("aws")
def test_a_missing_region_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of a secret without a region raises an error that names the missing region."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(TokenSourceError, match="NoRegionError") as caught:
        SecretsManager(SECRET).read()
    assert "(no region)" in caught.value.detail


def test_without_boto3_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside Lambda, users install boto3 themselves, and the error says how."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(TokenSourceError) as caught:
        SecretsManager(SECRET).read()
    assert str(caught.value) == "the token is in AWS Secrets Manager, and boto3 is not installed"
    assert "AWS Lambda provides it, elsewhere: pip install boto3" in caught.value.detail
