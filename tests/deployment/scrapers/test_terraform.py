"""The Terraform resource for Grafana Cloud, parsed by HashiCorp's own HCL library."""

from __future__ import annotations

import ast
import importlib.util
import json
from pathlib import Path
from typing import Any

import pygohcl
import pytest

from tests.support.dev_server import REPOSITORY

TEXT = (REPOSITORY / "deploy" / "grafana-cloud" / "main.tf").read_text()
TYPES = {"str": "string", "int": "number", "bool": "bool"}


def parsed(*, interpolations: bool = True) -> dict[str, Any]:
    """Return the blocks of the file, with the text of expressions."""
    blocks: dict[str, Any] = pygohcl.loads(TEXT, keep_interpolations=interpolations)
    return blocks


def arguments(module: str, name: str) -> dict[str, tuple[str, bool]]:
    """Return the Terraform type of each argument in the provider's schema, and whether it is required.

    The schema is that of Pulumi's package, which is generated from the Terraform provider. It is read and not
    imported, which would load Pulumi itself.
    """
    package = importlib.util.find_spec("pulumiverse_grafana")
    assert package is not None
    assert package.origin is not None
    tree = ast.parse((Path(package.origin).parent / module).read_text())
    [schema] = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    [init] = [node for node in schema.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
    found = {}
    for argument, default in zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True):
        assert argument.annotation is not None
        names = {node.attr for node in ast.walk(argument.annotation) if isinstance(node, ast.Attribute)} & set(TYPES)
        found[argument.arg] = TYPES[names.pop()] if len(names) == 1 else "map", default is None
    return found


def test_the_resource_is_what_the_provider_takes() -> None:
    """Every argument is in the provider's schema with its type, and no required one is missing."""
    known = arguments("connections/metrics_endpoint_scrape_job.py", "MetricsEndpointScrapeJobArgs")
    blocks = parsed()
    [(kind, [(_, given)])] = [(kind, list(named.items())) for kind, named in blocks["resource"].items()]
    assert kind == "grafana_connections_metrics_endpoint_scrape_job"
    assert set(given) <= set(known)
    assert {name for name, (_, needed) in known.items() if needed} <= set(given)
    variables = {f"var.{name}": variable["type"] for name, variable in blocks["variable"].items()}
    types = {bool: "bool", int: "number", str: "string"}
    assert {name: variables[value] if value in variables else types[type(value)] for name, value in given.items()} == {
        name: known[name][0] for name in given
    }
    assert (given["authentication_method"], given["name"]) == ("bearer", "kairo-cms-production")
    assert given["url"].startswith("https://${var.kairo_domain}/api/metrics")


def test_secrets_are_not_shown_and_come_from_the_environment() -> None:
    """Both secrets are sensitive and the provider is pinned; its token is in no file, but in its variables."""
    blocks = parsed()
    assert {name for name, variable in blocks["variable"].items() if variable.get("sensitive")} == {
        "metrics_auth_token",
        "vercel_automation_bypass_secret",
    }
    assert blocks["provider"] == {"grafana": {}}
    assert {"connections_api_url", "connections_api_access_token"} <= set(arguments("provider.py", "ProviderArgs"))
    assert blocks["terraform"]["required_providers"] == {"grafana": {"source": "grafana/grafana", "version": "~> 4.0"}}


def test_every_variable_is_used_and_explained() -> None:
    """Every variable is used, and the guide names the environment variable for each."""
    guide = (REPOSITORY / "docs" / "grafana-cloud.md").read_text()
    for name, variable in parsed()["variable"].items():
        used = TEXT.count(f"var.{name}") - json.dumps(variable["validation"]).count(f"var.{name}")
        assert used > 0, name
        assert variable["description"]
        assert f"`TF_VAR_{name}`" in guide


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("scrape_interval_seconds", [30, 60, 120], [15, 45, 300]),
        (
            "kairo_domain",
            ["shop.example", "a-b.shop.example:8443"],
            ["https://shop.example", "shop.example/api", "", "x"],
        ),
        ("grafana_stack_id", ["123456"], ["my-stack", ""]),
        ("metrics_auth_token", ["0123abcdef", "a-b~!q\"'\\"], ["new,old", "a b", "a\n", ""]),
        ("vercel_automation_bypass_secret", ["", "abc_-123"], ["a&b", "a b"]),
    ],
)
def test_a_bad_value_is_refused_before_anything_is_made(name: str, good: list[object], bad: list[object]) -> None:
    """Each variable's condition, run as HCL, accepts good values and says what is wrong with others."""
    rule = parsed()["variable"][name]["validation"]

    def check(value: object) -> None:
        pygohcl.eval_var_condition(rule["condition"], rule["error_message"], name, json.dumps(value))

    for value in good:
        check(value)
    for value in bad:
        with pytest.raises(pygohcl.ValidationError) as refused:
            check(value)
        assert str(refused.value) == rule["error_message"]
