"""The metrics function with its token in AWS: the process of the function uses a real endpoint, simulated by moto."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deployment.platform.lambda_events import Call
from tests.deployment.platform.lambda_requests import ask, variables
from tests.deployment.platform.lambda_runtime import LambdaFunction, lambda_function
from tests.support.aws_account import PARAMETER, REGION, SECRET
from tests.support.ports import free_port

TOKENS = ("second", "first", "zeroth", "other")
# The endpoint before it knows a token.
_UNREADY = 503


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    """Serve an AWS account over HTTP."""
    # Every worker collects this file, and only one needs these modules.
    from moto.server import ThreadedMotoServer

    port = free_port()
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def client(moto_url: str) -> Callable[[str], Any]:
    """Return a function that creates clients of that account."""
    import boto3

    return lambda service: boto3.client(
        service, REGION, endpoint_url=moto_url, aws_access_key_id="testing", aws_secret_access_key="testing"
    )


def statuses(function: LambdaFunction) -> list[int]:
    """Return the status for each token, once the function has read them: on a loaded machine a read may time out."""
    for _ in range(10):
        if ask(function, Call("GET", "/api/metrics", (("Authorization", f"Bearer {TOKENS[0]}"),))).status != _UNREADY:
            break
    calls = (Call("GET", "/api/metrics", (("Authorization", f"Bearer {token}"),)) for token in TOKENS)
    return [ask(function, call).status for call in calls]


def test_the_function_follows_the_secret(
    client: Callable[[str], Any], moto_url: str, redis_url: str, tmp_path: Path
) -> None:
    """The current and the previous version are accepted, for every kind of deployment; no token is in the log."""
    secrets = client("secretsmanager")
    secrets.create_secret(Name=SECRET, SecretString="zeroth")
    for token in ("first", "second"):
        secrets.put_secret_value(SecretId=SECRET, SecretString=f'{{"token": "{token}"}}')
    environment = variables(redis_url, tmp_path, METRICS_AUTH_TOKEN_SECRET_ID=SECRET, AWS_ENDPOINT_URL=moto_url)
    environment.pop("METRICS_AUTH_TOKEN")
    with lambda_function("api.metrics.handler", environment) as function:
        assert statuses(function) == [200, 200, 401, 401]
        assert not any(token in function.output for token in TOKENS)


def test_the_function_reads_a_secure_string(
    client: Callable[[str], Any], moto_url: str, redis_url: str, tmp_path: Path
) -> None:
    """Both tokens of the parameter are accepted."""
    client("ssm").put_parameter(Name=PARAMETER, Value="second,first", Type="SecureString")
    environment = variables(redis_url, tmp_path, METRICS_AUTH_TOKEN_PARAMETER=PARAMETER, AWS_ENDPOINT_URL=moto_url)
    environment.pop("METRICS_AUTH_TOKEN")
    with lambda_function("api.metrics.handler", environment) as function:
        assert statuses(function) == [200, 200, 401, 401]


def test_without_the_secret_the_function_says_why(moto_url: str, redis_url: str, tmp_path: Path) -> None:
    """A missing secret is 503 with the reason, the log names it, and the content function works."""
    environment = variables(redis_url, tmp_path, METRICS_AUTH_TOKEN_SECRET_ID="kairo/absent", AWS_ENDPOINT_URL=moto_url)
    environment.pop("METRICS_AUTH_TOKEN")
    with lambda_function("api.metrics.handler", environment) as function:
        assert statuses(function) == [503, 503, 503, 503]
        assert function.output.count("(eu-west-1), kairo/absent: ") == 1
    with lambda_function("api.content.handler", environment) as function:
        assert ask(function, Call("GET", "/api/content", (("X-Tenant", "acme"),))).status == 200
