"""Write the schemas in this folder; README.md says when and how."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
MODELS = "cloudcoil.models.prometheus_operator"
KINDS = {"PrometheusRule": "v1", "Probe": "v1", "ServiceMonitor": "v1", "ScrapeConfig": "v1alpha1"}
# Keys that do not restrict a value.
_PROSE = ("title", "description", "default")


def main() -> None:
    """Write one file for each kind."""
    for kind, version in KINDS.items():
        model = getattr(importlib.import_module(f"{MODELS}.{version}"), kind)
        schema = _strict(model.model_json_schema(by_alias=True))
        schema["required"] = ["apiVersion", "kind", "metadata", "spec"]
        schema["$comment"] = f"{MODELS} {importlib.metadata.version(MODELS)}"
        (FOLDER / f"{kind}.json").write_text(json.dumps(schema, indent=1, sort_keys=True) + "\n")


def _strict(schema: Any) -> Any:
    """Return a schema without descriptions; fields may be missing but not null, and unknown fields are errors."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "properties" in schema:
        properties = {name: _strict(item) for name, item in schema["properties"].items()}
        rest = {name: item for name, item in schema.items() if name not in {*_PROSE, "properties"}}
        return {**_strict(rest), "properties": properties, "additionalProperties": not properties}
    kept = {name: _strict(item) for name, item in schema.items() if name not in _PROSE}
    choices = [choice for choice in kept.pop("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        return {**kept, **choices[0]}
    return {**kept, "anyOf": choices} if choices else kept


if __name__ == "__main__":
    main()
