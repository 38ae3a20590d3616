"""A fresh project for AWS Lambda after `init`, run by AWS's own runtime client."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.kairo_metrics.cli import main
from tests.deployment.platform.lambda_events import Call
from tests.deployment.platform.lambda_requests import ask, scrape, variables
from tests.deployment.platform.lambda_runtime import lambda_function

# As `sam init` makes it.
TEMPLATE = """AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    Timeout: 3
Resources:
  HelloWorldFunction:
    Type: AWS::Serverless::Function # More info about Function Resource
    Properties:
      CodeUri: hello_world/
      Handler: app.lambda_handler
      Runtime: python3.12
"""
FUNCTION = """import json


def lambda_handler(event, context):
    return {"statusCode": 200, "body": json.dumps(event)}
"""
APP = """from fastapi import FastAPI
from mangum import Mangum

app = FastAPI()


@app.get("/items/{item}")
def item(item: int) -> int:
    return item


lambda_handler = Mangum(app, lifespan="off")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project of SAM, still without its function."""
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    code = tmp_path / "hello_world"
    code.mkdir()
    (code / "requirements.txt").write_text("fastapi\nmangum\n")
    return tmp_path


def test_a_function_for_events_is_measured(project: Path, redis_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its invocations are on the page of a second function, which the user adds to the template."""
    code = project / "hello_world"
    (code / "app.py").write_text(FUNCTION)
    assert main(["init", str(project), "--yes"]) == 0
    advice = "by hand: your template: add a function with the handler api.metrics.handler, CodeUri hello_world/"
    assert advice in capsys.readouterr().out
    assert (code / "requirements.txt").read_text() == "fastapi\nmangum\nprometheus-client\nredis\n"
    environment = variables(redis_url, project)
    with lambda_function("app.lambda_handler", environment, bundle=code) as function:
        assert function.invoke({"a": 1})["body"] == '{"a": 1}'
    with lambda_function("api.metrics.handler", environment, bundle=code) as page:
        assert 'function_invocations_total{function="lambda_handler",outcome="success"} 1\n' in ask(page, scrape()).text
    assert main(["init", str(project)]) == 0
    assert "nothing is missing" in capsys.readouterr().out


def test_an_app_behind_an_adapter_is_measured_and_serves_the_page(project: Path, redis_url: str) -> None:
    """The project's only function needs no other one beside it."""
    code = project / "hello_world"
    (code / "app.py").write_text(APP)
    assert main(["init", str(project), "--yes"]) == 0
    assert not (code / "api").exists()
    with lambda_function("app.lambda_handler", variables(redis_url, project), bundle=code) as function:
        assert ask(function, Call("GET", "/items/7")).text == "7"
        page = ask(function, scrape()).text
    assert 'http_requests_total{method="GET",route="/items/{item}",status="200"} 1\n' in page
