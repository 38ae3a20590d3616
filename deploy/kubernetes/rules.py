"""Write the rules in grafana/rules/ as a PrometheusRule: `make kubernetes-rules`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[2]
RULES = REPOSITORY / "grafana" / "rules"
TARGET = REPOSITORY / "deploy" / "kubernetes" / "prometheusrule.yaml"
HEADER = "# Made from grafana/rules/*.yml by `make kubernetes-rules`: change those.\n---\n"


class _Dumper(yaml.SafeDumper):
    """Writes an expression of several lines as a block."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def prometheus_rule(files: list[Path]) -> str:
    """Return the manifest with the groups of all files, in the order of the files.

    Raises:
        ValueError: there are no files, a file has no groups, or two groups have the same name.
    """
    groups: list[dict[str, Any]] = []
    for file in files:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        if not isinstance(document, dict) or not document.get("groups"):
            raise ValueError(f"{file} has no groups of rules")
        groups += document["groups"]
    names = [group["name"] for group in groups]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        # Prometheus allows this in two files; Kubernetes does not allow it in one object.
        raise ValueError(f"two groups have the name {twice[0]}")
    if not groups:
        raise ValueError("there are no files with rules")
    manifest = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "kairo-cms", "labels": {"app": "kairo-cms"}},
        "spec": {"groups": groups},
    }
    return HEADER + yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description="Write the rules as a PrometheusRule.")
    parser.add_argument("--rules", type=Path, default=RULES, help="the folder of rules (default: grafana/rules)")
    parser.add_argument(
        "--target", type=Path, default=TARGET, help="the file to write (default: deploy/kubernetes/prometheusrule.yaml)"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the file would change")
    options = parser.parse_args()
    try:
        text = prometheus_rule(sorted(options.rules.glob("*.yml")))
    except ValueError as err:
        parser.error(f"{options.rules}: {err}")
    if not options.check:
        options.target.write_text(text, encoding="utf-8")
    elif not options.target.exists() or options.target.read_text(encoding="utf-8") != text:
        sys.exit(f"{options.target} does not match {options.rules}: run `make kubernetes-rules`")


if __name__ == "__main__":
    main()
