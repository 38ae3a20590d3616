"""The metrics endpoint with its token in AWS."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import httpx
import pytest

from lib.kairo_metrics import Settings, SettingsError, metrics_app
from lib.kairo_metrics.endpoints.metrics_endpoint import MetricsEndpoint
from lib.kairo_metrics.endpoints.token_sources import SecretsManager
from tests.support.aws_account import PARAMETER, REGION, SECRET
from tests.support.dev_server import dev_server
from tests.support.recording import Recording


@pytest.mark.parametrize(
    "variables",
    [
        {"METRICS_AUTH_TOKEN": "hush", "METRICS_AUTH_TOKEN_SECRET_ID": SECRET},
        {"METRICS_AUTH_TOKEN": "hush", "METRICS_AUTH_TOKEN_PARAMETER": PARAMETER},
        {"METRICS_AUTH_TOKEN_SECRET_ID": SECRET, "METRICS_AUTH_TOKEN_PARAMETER": PARAMETER},
    ],
)
def test_tokens_from_two_places_are_refused(variables: dict[str, str]) -> None:
    """The error names both variables, so that a forgotten token can't stay valid after a rotation."""
    first, second = variables
    with pytest.raises(SettingsError, match=f"{second} and {first} are both set") as caught:
        Settings.from_env(variables)
    assert "hush" not in str(caught.value)


async def test_the_endpoint_takes_the_tokens_of_the_secret(
    recording: Recording, vault: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Both versions of the secret are accepted, a wrong token gets 401, and without the secret all get 503."""
    vault.create_secret(Name=SECRET, SecretString="first")
    vault.put_secret_value(SecretId=SECRET, SecretString="second")
    settings, source = recording.pipeline.settings, SecretsManager(SECRET)
    assert await _statuses(metrics_app(settings=settings, store=recording.store, token_source=source)) == {
        "second": 200,
        "first": 200,
        "other": 401,
        "": 401,
    }
    vault.delete_secret(SecretId=SECRET)
    app = metrics_app(settings=settings, store=recording.store, token_source=source)
    assert await _statuses(app) == {"second": 503, "first": 503, "other": 503, "": 401}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cms.example.org") as client:
        answer = await client.get("/api/metrics", headers={"Authorization": "Bearer first"})
    assert answer.text == "the token could not be read from AWS Secrets Manager: InvalidRequestException\n"
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert [SECRET in record.message for record in caplog.records if record.name == "kairo_metrics"] == [True]
    assert "first" not in caplog.text


async def _statuses(app: Any) -> dict[str, int]:
    """Send several tokens, and return the status for each."""
    statuses = {}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cms.example.org") as client:
        for token in ("second", "first", "other", ""):
            answer = await client.get("/api/metrics", headers={"Authorization": f"Bearer {token}"} if token else {})
            statuses[token] = answer.status_code
    return statuses


async def test_an_argument_beats_the_settings(recording: Recording, vault: Any) -> None:
    """A token source that is passed replaces the tokens of the settings; the two are not combined."""
    vault.create_secret(Name=SECRET, SecretString="second")
    settings = recording.pipeline.settings.changed(auth_tokens=("first",))
    app = MetricsEndpoint(recording.pipeline, settings, SecretsManager(SECRET))
    assert await _statuses(app) == {"second": 200, "first": 401, "other": 401, "": 401}


LAZY = """
import asyncio, sys
import httpx
from moto import mock_aws
from api.metrics import app

async def main():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cms.example.org") as client:
        assert (await client.get("/api/metrics")).status_code == 401
        assert "boto3" not in sys.modules
        answer = await client.get("/api/metrics", headers={"Authorization": "Bearer t"})
        assert (answer.status_code, "ResourceNotFoundException" in answer.text) == (503, True), answer.text
        assert "boto3" in sys.modules

with mock_aws():
    for name in [name for name in sys.modules if name.partition(".")[0] == "boto3"]:
        del sys.modules[name]  # moto has imported it
    asyncio.run(main())
"""


def test_boto3_waits_for_the_first_token() -> None:
    """The function starts without boto3, and a request without a token does not import it."""
    environment = {
        **os.environ,
        "ENABLE_METRICS": "true",
        "METRICS_AUTH_TOKEN_SECRET_ID": SECRET,
        "METRICS_SCRAPE_TIMEOUT_MS": "300000",  # a busy machine imports boto3 slowly
        "AWS_DEFAULT_REGION": REGION,
    }
    subprocess.run([sys.executable, "-c", LAZY], env=environment, check=True)


def test_the_dev_server_generates_no_token_beside_the_secret() -> None:
    """`make run` with a secret starts as on Lambda, and shows where the token comes from."""
    with dev_server(env={"METRICS_AUTH_TOKEN_SECRET_ID": SECRET, "AWS_DEFAULT_REGION": REGION}) as server:
        assert "Bearer <the token of METRICS_AUTH_TOKEN_SECRET_ID>" in server.output
        assert httpx.get(f"{server.url}/api/metrics").status_code == 401
