"""The push function, called by Vercel's cron and by a schedule of AWS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.deployment.platform.deployment import Deployment
from tests.deployment.platform.lambda_requests import ask as ask_lambda
from tests.deployment.platform.lambda_requests import read, variables
from tests.deployment.platform.lambda_runtime import lambda_function
from tests.support.dev_server import REPOSITORY
from tests.support.write_receiver import decoded, write_receiver

pytestmark = pytest.mark.long

SECRET = "a-secret-of-the-cron"


def settings(url: str) -> dict[str, str]:
    """Return the variables of a deployment that pushes."""
    return {"METRICS_REMOTE_WRITE_URL": url, "CRON_SECRET": SECRET}


def test_vercel_calls_for_a_push_once_a_day(deployment: Deployment) -> None:
    """The schedule is allowed by every plan of Vercel."""
    assert deployment.build.crons == ({"path": "/api/push", "schedule": "0 0 * * *"},)


def test_the_other_configuration_differs_in_the_schedule_alone() -> None:
    """every-minute.json differs from vercel.json only in a push every minute."""
    usual = json.loads((REPOSITORY / "vercel.json").read_text())
    other = json.loads((REPOSITORY / "deploy" / "vercel" / "every-minute.json").read_text())
    assert other.pop("crons") == [{"path": "/api/push", "schedule": "* * * * *"}]
    del usual["crons"]
    assert other == usual


def test_a_cron_of_vercel_pushes_what_another_function_has_counted(deployment: Deployment, redis_url: str) -> None:
    """The built function pushes the sum of all instances, and only for a request with CRON_SECRET."""
    with deployment.watched(redis_url) as instance:
        instance.ipc.wait_until_ended(deployment.ask(instance).invocation)
    with write_receiver() as receiver, deployment.instance("api/push", redis_url, **settings(receiver.url)) as pushing:
        assert pushing.request("GET", "/api/push").response.status_code == 401
        answer = pushing.request("GET", "/api/push", headers={"Authorization": f"Bearer {SECRET}"})
        assert answer.response.status_code == 200, answer.response.text
    assert requests_pushed(receiver.received[0].body) == 1


def test_a_schedule_of_aws_pushes_what_another_function_has_counted(redis_url: str, tmp_path: Path) -> None:
    """The event that the template's schedule sends is answered with a push."""
    from cfnlint.decode import decode  # every worker collects this file, and only one needs this slow import

    template: dict[str, Any] = decode(str(REPOSITORY / "deploy" / "aws" / "template.yaml"))[0]
    function = template["Resources"]["PushFunction"]["Properties"]
    given = function["Events"]["EveryMinute"]["Properties"]["Input"]["Fn::Sub"]
    event = json.loads(given.replace("{{resolve:secretsmanager:${CronSecret}:SecretString}}", SECRET))
    with lambda_function("api.content.handler", variables(redis_url, tmp_path)) as content:
        ask_lambda(content, read())
    with (
        write_receiver() as receiver,
        lambda_function(function["Handler"], variables(redis_url, tmp_path, **settings(receiver.url))) as pushing,
    ):
        answer = pushing.invoke(event)
        assert answer["statusCode"] == 200, answer
    assert requests_pushed(receiver.received[0].body) == 1


def requests_pushed(body: bytes) -> float:
    """Return the number of HTTP requests in the samples of a body."""
    return sum(value for labels, value, _ in decoded(body) if labels["__name__"] == "http_requests_total")
