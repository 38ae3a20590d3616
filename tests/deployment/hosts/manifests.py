"""Manifests of Kubernetes, checked without a cluster: unknown fields are refused, as by `kubectl apply --validate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from jsonschema import Draft202012Validator

from tests.support.dev_server import REPOSITORY

__all__ = ["FOLDER", "KUBERNETES_VERSIONS", "problems", "read"]

FOLDER = REPOSITORY / "deploy" / "kubernetes"
# The oldest version that clouds still run, and the newest with a schema here.
KUBERNETES_VERSIONS = ("1.30", "1.37")
_OPERATOR_GROUP = "monitoring.coreos.com/"
_OPERATOR_SCHEMAS = Path(__file__).parent / "operator_schemas"


def read(file: str) -> list[dict[str, Any]]:
    """Return the objects in a file of `deploy/kubernetes/`, or in the example of a file."""
    return [document for document in yaml.safe_load_all((FOLDER / file).read_text()) if document]


def problems(manifest: dict[str, Any]) -> list[str]:
    """Return the faults of an object by the schema of its kind, from Kubernetes or from the operator."""
    if str(manifest["apiVersion"]).startswith(_OPERATOR_GROUP):
        schema = json.loads((_OPERATOR_SCHEMAS / f"{manifest['kind']}.json").read_text())
        return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(manifest)]
    found = []
    for version in KUBERNETES_VERSIONS:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as err:
            found.append(f"{version}: {err.message}")
    return found
