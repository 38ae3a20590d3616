"""Tokens in AWS Secrets Manager and Systems Manager, as moto plays them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lib.kairo_metrics import Settings, TokenSourceError
from lib.kairo_metrics.endpoints.token_sources import ParameterStore, SecretsManager, source_named_by
from tests.support.aws_account import OTHER_REGION, PARAMETER, SECRET

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "text",
    ["hush", " hush\n", '{"token": "hush"}', '\n{"user": "x", "token": " hush\\n"}', json.dumps({"token": "hush"})],
)
def test_a_secret_is_the_token_or_json_that_holds_it(vault: Any, text: str) -> None:
    """Plain text and a key `token` both work, and space around them does not matter."""
    vault.create_secret(Name=SECRET, SecretString=text)
    assert SecretsManager(SECRET).read() == ("hush",)


def test_a_comma_is_part_of_a_secret(vault: Any) -> None:
    """A generated password with a comma in it is one token, not two short ones."""
    vault.create_secret(Name=SECRET, SecretString="a,b")
    assert SecretsManager(SECRET).read() == ("a,b",)


def test_current_and_previous_version_are_good(vault: Any) -> None:
    """While a rotation is under way both tokens are accepted; the one before them is not, nor is a pending one."""
    vault.create_secret(Name=SECRET, SecretString="first")
    source = SecretsManager(SECRET)
    assert source.read() == ("first",)
    vault.put_secret_value(SecretId=SECRET, SecretString="second")
    assert source.read() == ("second", "first")
    vault.put_secret_value(SecretId=SECRET, SecretString='{"token": "third"}')
    assert source.read() == ("third", "second")
    vault.put_secret_value(SecretId=SECRET, SecretString="fourth", VersionStages=["AWSPENDING"])
    assert source.read() == ("third", "second")


def test_a_rotation_can_be_taken_back(vault: Any) -> None:
    """Moving AWSCURRENT to an older version makes that token the current one."""
    first = vault.create_secret(Name=SECRET, SecretString="first")["VersionId"]
    second = vault.put_secret_value(SecretId=SECRET, SecretString="second")["VersionId"]
    vault.update_secret_version_stage(
        SecretId=SECRET, VersionStage="AWSCURRENT", RemoveFromVersionId=second, MoveToVersionId=first
    )
    assert SecretsManager(SECRET).read() == ("first", "second")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"hush"', "starts like JSON and is none"),
        ('{"password": "hush"}', 'is JSON without a text under the key "token"'),
        ('{"token": 1}', 'is JSON without a text under the key "token"'),
        ('{"token": " "}', "is empty, or not one line of text"),
        (" ", "is empty, or not one line of text"),
        ("hush\nhush", "is empty, or not one line of text"),
        ('{"token": "hush\\ud800"}', "is empty, or not one line of text"),
    ],
)
def test_a_secret_without_a_token_is_named_and_not_shown(vault: Any, text: str, problem: str) -> None:
    """The log names what is wrong with which version; the content of the secret is never shown."""
    vault.create_secret(Name=SECRET, SecretString=text)
    with pytest.raises(TokenSourceError) as caught:
        SecretsManager(SECRET).read()
    assert caught.value.final
    assert str(caught.value) == "what AWS Secrets Manager keeps is no token"
    assert caught.value.detail == f"AWS Secrets Manager, {SECRET}: version AWSCURRENT {problem}"
    assert "hush" not in repr(caught.value) + repr(caught.value.__cause__)


def test_a_secret_of_bytes_is_no_token(vault: Any) -> None:
    """A secret that holds bytes in place of text is refused."""
    vault.create_secret(Name=SECRET, SecretBinary=b"hush")
    with pytest.raises(TokenSourceError, match="is no token"):
        SecretsManager(SECRET).read()


def test_a_broken_version_does_not_lock_out_the_other(vault: Any) -> None:
    """If the new version is a mistake, the previous token goes on working."""
    vault.create_secret(Name=SECRET, SecretString="first")
    vault.put_secret_value(SecretId=SECRET, SecretString="{}")
    assert SecretsManager(SECRET).read() == ("first",)


def test_a_secret_that_is_gone_is_final(vault: Any) -> None:
    """A secret that was deleted, or waits for its deletion, takes its tokens along; restored, it is good again."""
    vault.create_secret(Name=SECRET, SecretString="hush")
    source = SecretsManager(SECRET)
    vault.delete_secret(SecretId=SECRET, RecoveryWindowInDays=7)
    with pytest.raises(TokenSourceError, match="InvalidRequestException") as waiting:
        source.read()
    vault.restore_secret(SecretId=SECRET)
    assert source.read() == ("hush",)
    vault.delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)
    with pytest.raises(TokenSourceError, match="ResourceNotFoundException") as gone:
        source.read()
    assert waiting.value.final
    assert gone.value.final


def test_the_wrong_region_is_told_and_an_arn_knows_the_right_one(
    vault: Any, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name is looked up in the function's region, which the log names; an ARN works in any region."""
    arn = vault.create_secret(Name=SECRET, SecretString="hush")["ARN"]
    store.put_parameter(Name=PARAMETER, Value="hush", Type="SecureString")
    parameter_arn = store.get_parameter(Name=PARAMETER)["Parameter"]["ARN"]
    monkeypatch.setenv("AWS_DEFAULT_REGION", OTHER_REGION)
    for source, title in (
        (SecretsManager(SECRET), "AWS Secrets Manager"),
        (ParameterStore(PARAMETER), "AWS Systems Manager"),
    ):
        with pytest.raises(TokenSourceError) as caught:
            source.read()
        assert caught.value.detail.startswith(f"{title} ({OTHER_REGION}), ")
        assert OTHER_REGION not in str(caught.value)
    assert SecretsManager(arn).read() == ("hush",)
    assert ParameterStore(parameter_arn).read() == ("hush",)


def test_a_parameter_is_decrypted_and_may_hold_two_tokens(store: Any) -> None:
    """A SecureString returns its tokens: during a rotation two, with a comma between."""
    store.put_parameter(Name=PARAMETER, Value=" first\n", Type="SecureString")
    source = ParameterStore(PARAMETER)
    assert source.read() == ("first",)
    store.put_parameter(Name=PARAMETER, Value="second, first", Type="SecureString", Overwrite=True)
    assert source.read() == ("second", "first")


@pytest.mark.parametrize("text", ["hush,", ",", " , hush", "hush\nhush"])
def test_a_parameter_without_a_token_is_named_and_not_shown(store: Any, text: str) -> None:
    """The error names what is wrong, and never the content."""
    store.put_parameter(Name=PARAMETER, Value=text, Type="SecureString")
    with pytest.raises(TokenSourceError, match="is no token") as caught:
        ParameterStore(PARAMETER).read()
    assert PARAMETER in caught.value.detail
    assert "hush" not in caught.value.detail + repr(caught.value.__cause__)


def test_a_parameter_that_is_gone_is_final(store: Any) -> None:
    """A deleted parameter takes its tokens along."""
    store.put_parameter(Name=PARAMETER, Value="hush", Type="SecureString")
    store.delete_parameter(Name=PARAMETER)
    with pytest.raises(TokenSourceError, match="ParameterNotFound") as caught:
        ParameterStore(PARAMETER).read()
    assert caught.value.final


def test_the_settings_name_one_source() -> None:
    """Each variable selects its source, a token needs none, and an argument works like a variable."""
    assert source_named_by(Settings(auth_tokens=("t",))) is None
    secret = Settings.from_env({"METRICS_AUTH_TOKEN_SECRET_ID": f" {SECRET}\n"})
    parameter = Settings.from_env({"METRICS_AUTH_TOKEN_PARAMETER": PARAMETER})
    assert secret == Settings(auth_token_secret_id=SECRET)
    assert isinstance(source_named_by(secret), SecretsManager)
    assert isinstance(source_named_by(parameter), ParameterStore)
