"""`vercel build`, and what it makes of a project: functions, static files and routes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deployment.platform.vercel_tools import Tools

__all__ = ["Build", "BuiltFunction", "vercel_build"]

# Who owns the project matters to an upload, and nothing is uploaded.
_PROJECT = {"projectId": "prj_x", "orgId": "team_x", "settings": {}}


@dataclass(frozen=True, slots=True)
class BuiltFunction:
    """One function, laid out as an instance finds it.

    Args:
        name: its path without an extension, as `api/metrics`.
        root: the working directory of its instances.
        files: every file below `root`, relative to it.
        settings: what else `.vc-config.json` says: runtime, `environment`, `maxDuration`.
    """

    name: str
    root: Path
    files: tuple[str, ...]
    settings: Mapping[str, Any]

    def megabytes(self) -> dict[str, float]:
        """Return what each vendored package weighs, its metadata included, and each entry beside them."""
        weights: Counter[str] = Counter()
        for file in self.files:
            entry = file.removeprefix("_vendor/").partition("/")[0]
            weights[entry.partition("-")[0].removesuffix(".py")] += (self.root / file).stat().st_size
        return {entry: weight / 1e6 for entry, weight in weights.items()}


@dataclass(frozen=True, slots=True)
class Build:
    """The output of one build.

    Args:
        functions: by name.
        static: the files that are published as they are, relative to the site's root.
        routes: of `config.json`, in the order in which they are tried.
        crons: of the same file.
        tools: what it was built with; its Python runs the functions.
    """

    functions: Mapping[str, BuiltFunction]
    static: frozenset[str]
    routes: tuple[Mapping[str, Any], ...]
    crons: tuple[Mapping[str, str], ...]
    tools: Tools


def vercel_build(project: Path, tools: Tools, env: Mapping[str, str] | None = None) -> Build:
    """Build a project; the builder writes into it, so it must be a copy.

    Without an account: the CLI is handed an empty configuration and no token, and asks nobody.

    Args:
        project: the folder that holds `vercel.json`.
        tools: see `find_tools`.
        env: build environment variables, such as `VERCEL_PYTHON_COMPILEALL`.
    """
    own = project / ".vercel"
    own.mkdir()
    (own / "project.json").write_text(json.dumps(_PROJECT))
    ran = subprocess.run(
        [tools.cli, "build", "--yes", "--global-config", own / "account"],
        cwd=project,
        env={**tools.environment(), **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise AssertionError(f"vercel build ended with {ran.returncode}:\n{ran.stdout}")
    output = own / "output"
    found = sorted((output / "functions").rglob(".vc-config.json"))
    functions = [_lay_out(project, function, own / "instances") for function in found]
    static = output / "static"
    config = json.loads((output / "config.json").read_text())
    return Build(
        {function.name: function for function in functions},
        frozenset(_files(static)),
        tuple(config["routes"]),
        tuple(config.get("crons", ())),
        tools,
    )


def _lay_out(project: Path, config: Path, into: Path) -> BuiltFunction:
    """Put a function's files together: those in its `.func` folder, and those that its file map names."""
    settings = json.loads(config.read_text())
    name = config.parent.relative_to(project / ".vercel" / "output" / "functions").with_suffix("").as_posix()
    root = into / name
    shutil.copytree(config.parent, root, ignore=shutil.ignore_patterns(config.name))
    for file, source in settings.pop("filePathMap", {}).items():
        target = root / file
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(project / source, target)
    return BuiltFunction(name, root, tuple(_files(root)), settings)


def _files(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
