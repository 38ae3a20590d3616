"""The dashboard's JSON against the types that Grafana is built with: those of @grafana/schema, from npm."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grafana import CMS
from lib.kairo_metrics.dev.grafana.dashboard.dashboard_json import dashboard_json
from lib.kairo_metrics.dev.grafana.system import PARTS, System

# The compiler takes six seconds; what it reads changes seldom.
pytestmark = pytest.mark.long

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
SYSTEMS = {
    "cms": CMS,
    "shop": System(job="shop-.*", title="Shop", prefix="shop_", without=frozenset(PARTS)),
}


def _panel(document: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(panel for panel in document["panels"] if panel["type"] == kind)
    return found


# Each is a mistake that Grafana would not report, but ignore.
MISTAKES: dict[str, Callable[[dict[str, Any]], object]] = {
    "an_unknown_field": lambda document: _panel(document, "stat").update(titel="x"),
    "an_option_of_another_kind": lambda document: _panel(document, "stat")["options"].update(showHeader=True),
    "a_wrong_word": lambda document: _panel(document, "timeseries")["options"]["legend"].update(displayMode="tabel"),
    "a_missing_option": lambda document: _panel(document, "heatmap")["options"].pop("color"),
    "a_wrong_type": lambda document: _panel(document, "table")["gridPos"].update(w="12"),
    "a_wrong_draw_style": lambda document: _panel(document, "timeseries")["fieldConfig"]["defaults"]["custom"].update(
        drawStyle="lines"
    ),
    "a_wrong_query": lambda document: _panel(document, "stat")["targets"][0].update(format="timeseries"),
    "a_wrong_variable": lambda document: document["templating"]["list"][1].update(refresh="always"),
}


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Check all dashboards in one run of the compiler, and return the errors by the name of the file."""
    if shutil.which("node") is None or not (MODULES / "@grafana" / "schema").exists():
        pytest.skip("install Node.js with npm, and run make test")
    folder = tmp_path_factory.mktemp("types")
    (folder / "node_modules").symlink_to(MODULES)
    shutil.copy(HERE / "dashboard_types.ts", folder / "types.ts")
    written = {name: dashboard_json(system) for name, system in SYSTEMS.items()}
    for name, spoil in MISTAKES.items():
        document = json.loads(written["cms"])
        spoil(document)
        written[name] = json.dumps(document)
    for name, text in written.items():
        # What an import asks for and requires is no part of the dashboard that Grafana stores.
        known = {key: value for key, value in json.loads(text).items() if not key.startswith("__")}
        literal = f'import type {{ Exported }} from "./types";\nexport const it: Exported = {json.dumps(known)};\n'
        (folder / f"{name}.ts").write_text(literal)
    options = ["--noEmit", "--strict", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler"]
    command = ["node", str(MODULES / "typescript" / "bin" / "tsc"), *options, *(f"{name}.ts" for name in written)]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    found: dict[str, list[str]] = {}
    for line in ran.stdout.splitlines():
        if named := re.match(r"([\w/]+)\.ts\(", line):
            found.setdefault(named[1], []).append(line)
    return found


@pytest.mark.parametrize("name", SYSTEMS)
def test_grafanas_types_know_every_field(errors: dict[str, list[str]], name: str) -> None:
    """Each option of each panel has a name and a value that this kind of panel has."""
    assert errors.get("types", []) == []
    assert errors.get(name, []) == []


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found(errors: dict[str, list[str]], name: str) -> None:
    """The types notice a wrong name, a wrong word, and a missing option."""
    assert errors.get(name)
