"""The template that deploys the functions to AWS."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deployment.hosts.variables import is_read

REPOSITORY = Path(__file__).parents[3]
TEMPLATE = REPOSITORY / "deploy" / "aws" / "template.yaml"
LINTER = Path(sys.executable).parent / "cfn-lint"


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    """Read the template."""
    from cfnlint.decode import decode  # every worker collects this file, and only one needs this slow import

    read: tuple[dict[str, Any], list[Any]] = decode(str(TEMPLATE))
    assert not read[1]
    return read[0]


@pytest.mark.long
@pytest.mark.parametrize("checked", [TEMPLATE, REPOSITORY / "examples" / "lambda_sqs" / "template.yaml"])
def test_a_template_passes_the_linter(checked: Path) -> None:
    """cfn-lint, which knows the schemas of CloudFormation and SAM, finds nothing."""
    command = [str(LINTER), "--include-checks", "I", "--template", str(checked)]
    linted = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_the_template_deploys_each_function(template: dict[str, Any]) -> None:
    """Every function in api/ has a handler, every variable is read, and secrets are not echoed."""
    functions = list(_functions(template))
    assert {function["Handler"] for function in functions} == {
        f"api.{path.stem}.handler" for path in (REPOSITORY / "api").glob("*.py")
    }
    for properties in [template["Globals"]["Function"], *functions]:
        assert all(is_read(variable) for variable in properties.get("Environment", {}).get("Variables", {}))
    assert template["Globals"]["Function"]["CodeUri"] == "../../dist/lambda"
    hidden = {name for name, parameter in template["Parameters"].items() if parameter.get("NoEcho")}
    assert hidden == {"DatabaseUrl", "RedisUrl"}


def _functions(template: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            yield resource["Properties"]


def test_the_functions_may_do_no_more_than_they_need(template: dict[str, Any]) -> None:
    """Only the metrics function may read a secret, and only the push may write to a workspace, each to its own."""
    roles = {name: item for name, item in template["Resources"].items() if item["Type"] == "AWS::IAM::Role"}
    used = {function["Handler"]: function["Role"]["Fn::GetAtt"][0] for function in _functions(template)}
    assert used == {
        "api.content.handler": "FunctionRole",
        "api.health.handler": "FunctionRole",
        "api.metrics.handler": "MetricsRole",
        "api.push.handler": "PushRole",
    }
    assert "Policies" not in roles["FunctionRole"]["Properties"]
    [policy] = roles["MetricsRole"]["Properties"]["Policies"]
    allowed = {}
    for conditional in policy["PolicyDocument"]["Statement"]:
        condition, statement, otherwise = conditional["Fn::If"]
        assert (statement["Effect"], otherwise) == ("Allow", {"Ref": "AWS::NoValue"})
        allowed[condition] = statement["Action"], statement["Resource"]
    condition, [writing], otherwise = roles["PushRole"]["Properties"]["Policies"]["Fn::If"]
    assert (condition, otherwise) == ("PushesToWorkspace", {"Ref": "AWS::NoValue"})
    assert writing["PolicyDocument"]["Statement"] == [
        {"Effect": "Allow", "Action": "aps:RemoteWrite", "Resource": {"Ref": "RemoteWriteWorkspaceArn"}}
    ]
    account = "${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}"
    assert allowed == {
        "TokenIsCreated": ("secretsmanager:GetSecretValue", {"Ref": "Token"}),
        "TokenIsGiven": ("secretsmanager:GetSecretValue", {"Ref": "TokenSecretArn"}),
        "TokenIsParameter": ("ssm:GetParameter", {"Fn::Sub": f"arn:{account}:parameter${{TokenParameter}}"}),
        "TokenHasKey": ("kms:Decrypt", {"Ref": "TokenKeyArn"}),
    }
