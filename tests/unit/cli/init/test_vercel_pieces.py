"""The pieces of `vercel.json` that a project lacks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lib.kairo_metrics.cli.init.plan import make_plan

FLASK = "from flask import Flask\napp = Flask(__name__)\n"
HANDLER = "from http.server import BaseHTTPRequestHandler\nclass handler(BaseHTTPRequestHandler): ...\n"
ALL_PATHS = [{"source": "/(.*)", "destination": "/api/index"}]


def pieces(root: Path, *files: str, vercel: dict[str, Any] | None = None, source: str = FLASK) -> dict[str, Any]:
    """Return the content of vercel.json after `init`."""
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(source if name.endswith(".py") else "{}")
    if vercel is not None:
        (root / "vercel.json").write_text(json.dumps(vercel))
    texts = {change.path.as_posix(): change.after for change in make_plan(root).changes}
    after: dict[str, Any] = json.loads(texts.get("vercel.json", json.dumps(vercel)))
    return after


@pytest.mark.parametrize(
    ("files", "vercel", "source"),
    [
        (["api/index.py"], {"rewrites": []}, FLASK),
        (["api/index.py"], {"framework": None}, FLASK),
        (["api/index.py"], {"functions": {"api/*.py": {"memory": 512}}}, FLASK),
        (["api/index.py", "api/other.py"], None, FLASK),
        (["api/index.py", "package.json"], None, FLASK),
        (["api/shop.py"], None, FLASK),
        (["api/index.py"], None, HANDLER),
    ],
)
def test_paths_keep_their_ways(tmp_path: Path, files: list[str], vercel: dict[str, Any] | None, source: str) -> None:
    """Where no preset has led all paths to the one function, no new rule does."""
    given = (vercel or {}).get("rewrites")
    assert pieces(tmp_path, *files, vercel=vercel, source=source).get("rewrites") == given


def test_one_function_without_rules_gets_all_paths(tmp_path: Path) -> None:
    """Vercel's preset led them to it, and that is switched off now."""
    found = pieces(tmp_path, "api/index.py")
    assert (found["framework"], found["rewrites"]) == (None, ALL_PATHS)


@pytest.mark.parametrize(
    ("import_line", "preset"),
    [
        ("from fastapi import FastAPI as App", "fastapi"),
        ("from flask import Flask as App", "flask"),
        ("from litestar import Litestar as App", "python"),
    ],
)
def test_one_app_in_the_root_names_its_preset(tmp_path: Path, import_line: str, preset: str) -> None:
    """So `vercel build` finds it, whether the project is linked or not; nothing else is added."""
    found = pieces(tmp_path, "main.py", source=f"{import_line}\napp = App()\n")
    assert found == {"$schema": found["$schema"], "framework": preset}


def test_the_preset_of_a_linked_project_is_enough(tmp_path: Path) -> None:
    """What was chosen when the project was linked is not written again."""
    (tmp_path / ".vercel").mkdir()
    (tmp_path / ".vercel" / "project.json").write_text('{"settings": {"framework": "flask"}}')
    (tmp_path / "app.py").write_text(FLASK)
    assert "vercel.json" not in {change.path.as_posix() for change in make_plan(tmp_path).changes}


@pytest.mark.parametrize("rules", [{"builds": []}, {"routes": []}])
def test_the_old_form_gets_no_new_pieces(tmp_path: Path, rules: dict[str, Any]) -> None:
    """Vercel refuses them beside it; what is needed is said."""
    assert pieces(tmp_path, "api/index.py", "api/b.py", vercel=rules) == rules
    [advice] = make_plan(tmp_path).by_hand
    assert advice.startswith('vercel.json: add api/metrics.py to "builds"')


@pytest.mark.parametrize("glob", ["api/*.py", "api/**/*.py", "api/metrics.py"])
def test_a_glob_that_limits_the_page_is_enough(tmp_path: Path, glob: str) -> None:
    """Nothing is added where the page's function has its limits already."""
    functions = {glob: {"maxDuration": 60, "excludeFiles": "tests/**"}, "api/x.py": {}}
    assert pieces(tmp_path, "api/shop.py", vercel={"functions": functions})["functions"] == functions
