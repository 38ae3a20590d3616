"""Token sources: tokens that are kept outside of the process, in AWS. The only module that imports boto3.

boto3 is imported when the first token is read, because it takes as long to import as everything else together.
AWS Lambda provides it, so it is not a dependency of the package.
"""

from __future__ import annotations

import json
import re
from typing import Any, Protocol

from ..config.environment import split_tokens
from ..config.settings import Settings
from ..errors import TokenSourceError

__all__ = ["ParameterStore", "SecretsManager", "TokenSource", "source_named_by"]

# The current version and the one before it. Both are accepted, so that scrapers have time to change their token.
_CURRENT, _PREVIOUS = "AWSCURRENT", "AWSPREVIOUS"
# The errors which mean that there is no such secret or parameter, or that it is to be deleted.
_FINAL = frozenset(
    {"ResourceNotFoundException", "InvalidRequestException", "ParameterNotFound", "ParameterVersionNotFound"}
)
_ARN = re.compile(r"arn:[^:]+:[^:]+:(?P<region>[^:]+):")
# Two attempts, so that one lost packet is not an outage.
_CONNECT_TIMEOUT_S = 1
_READ_TIMEOUT_S = 2
_ATTEMPTS = 2


class TokenSource(Protocol):
    """A place outside of this process that keeps tokens."""

    def read(self) -> tuple[str, ...]:
        """Return the tokens that are accepted now, at least one. It runs in a thread, and may block for a limited time.

        Raises:
            TokenSourceError: there was no answer, or (`final`) the answer is that there is no token.
        """


def source_named_by(settings: Settings) -> TokenSource | None:
    """Return the source that the settings name, or None if they hold the tokens themselves."""
    if settings.auth_token_secret_id:
        return SecretsManager(settings.auth_token_secret_id)
    if settings.auth_token_parameter:
        return ParameterStore(settings.auth_token_parameter)
    return None


class SecretsManager:
    """The token in a secret of AWS Secrets Manager: its current version and the previous one.

    The secret is the token itself, or a JSON object whose key `token` holds it.

    Args:
        secret_id: its name, or its ARN, which contains the region.

    Example:
        >>> source = SecretsManager("arn:aws:secretsmanager:eu-west-1:123456789012:secret:kairo-AbCdEf")
    """

    def __init__(self, secret_id: str) -> None:
        self._secret_id = secret_id
        self._service = _Service("secretsmanager", "AWS Secrets Manager", secret_id)

    def read(self) -> tuple[str, ...]:
        """See `TokenSource.read`. A version that holds no token is skipped if the other one holds one."""
        values = {_CURRENT: self._value(_CURRENT)}
        try:
            values[_PREVIOUS] = self._value(_PREVIOUS)
        except TokenSourceError as err:
            if not err.final:  # a secret that was never rotated has no previous version
                raise
        tokens, problems = [], []
        for stage, value in values.items():
            try:
                tokens.append(_checked(_token_in(value)))
            except ValueError as err:
                problems.append(f"version {stage} {err}")
        if not tokens:
            raise self._service.holds_no_token("; ".join(problems))
        return tuple(tokens)

    def _value(self, stage: str) -> str:
        answer = self._service.call("get_secret_value", SecretId=self._secret_id, VersionStage=stage)
        value: str = answer.get("SecretString", "")
        return value


class ParameterStore:
    """The token in a SecureString parameter of AWS Systems Manager; during a rotation two tokens, with a comma between.

    Args:
        name: the parameter's name, or its ARN, which contains the region.

    Example:
        >>> source = ParameterStore("/kairo/metrics-token")
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._service = _Service("ssm", "AWS Systems Manager", name)

    def read(self) -> tuple[str, ...]:
        """See `TokenSource.read`."""
        answer = self._service.call("get_parameter", Name=self._name, WithDecryption=True)
        try:
            return tuple(map(_checked, split_tokens(answer["Parameter"]["Value"])))
        except ValueError as err:
            raise self._service.holds_no_token(str(err)) from None


class _Service:
    """A client of one AWS service, made at its first use. Only one thread at a time uses it."""

    def __init__(self, name: str, title: str, identifier: str) -> None:
        self._name = name
        self._title = title
        self._identifier = identifier
        self._client: Any = None

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Call AWS, within a limited time.

        Raises:
            TokenSourceError: there was no answer, or an error.
        """
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError as err:
            raise TokenSourceError(
                f"the token is in {self._title}, and boto3 is not installed",
                f"boto3 can't be imported ({err}); AWS Lambda provides it, elsewhere: pip install boto3",
            ) from err
        try:
            if self._client is None:
                config = Config(
                    connect_timeout=_CONNECT_TIMEOUT_S,
                    read_timeout=_READ_TIMEOUT_S,
                    retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
                )
                # A new session: making the default one is not safe in a thread.
                session = boto3.session.Session()
                self._client = session.client(self._name, region_name=_region_in(self._identifier), config=config)
            answer: dict[str, Any] = getattr(self._client, operation)(**arguments)
        except ClientError as err:
            code = err.response["Error"]["Code"]
            raise self._unread(code, err, final=code in _FINAL) from err
        except (BotoCoreError, ValueError) as err:
            raise self._unread(type(err).__name__, err) from err
        return answer

    def holds_no_token(self, problem: str) -> TokenSourceError:
        """Return the error for a value that is not a token."""
        return TokenSourceError(
            f"what {self._title} keeps is no token", f"{self._title}, {self._identifier}: {problem}", final=True
        )

    def _unread(self, code: str, err: Exception, *, final: bool = False) -> TokenSourceError:
        region = self._client.meta.region_name if self._client else "no region"
        return TokenSourceError(
            f"the token could not be read from {self._title}: {code}",
            f"{self._title} ({region}), {self._identifier}: {err}",
            final=final,
        )


def _region_in(identifier: str) -> str | None:
    """Return the region of an ARN; None for a name, so that boto3 finds the region."""
    found = _ARN.match(identifier)
    return found["region"] if found else None


def _token_in(text: str) -> str:
    r"""Return the token that a secret holds.

    Raises:
        ValueError: it holds none. The error does not contain what it holds.

    Example:
        >>> _token_in('{"token": "abc"}'), _token_in("abc\n")
        ('abc', 'abc')
    """
    token = text.strip()
    if token.startswith("{"):
        try:
            token = json.loads(token).get("token")
        except ValueError:
            raise ValueError("starts like JSON and is none") from None
        if not isinstance(token, str):
            raise ValueError('is JSON without a text under the key "token"')
        token = token.strip()
    return token


def _checked(token: str) -> str:
    """Return the token if a header can carry it."""
    if not token or not token.isprintable():
        raise ValueError("is empty, or not one line of text")
    return token
