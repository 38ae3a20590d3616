"""`vercel build` and its output: functions, static files and routes."""

from __future__ import annotations

import hashlib
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

# Where a function has its libraries.
_VENDORED = "_vendor/"
# The owner of the project matters only for an upload, and nothing is uploaded.
_PROJECT = {"projectId": "prj_x", "orgId": "team_x", "settings": {}}


@dataclass(frozen=True, slots=True)
class BuiltFunction:
    """One function, with the files that an instance has.

    Args:
        name: its path without an extension, as `api/metrics`.
        root: the working directory of its instances.
        files: every file below `root`, relative to it.
        settings: the other keys of `.vc-config.json`: runtime, `environment`, `maxDuration`.
    """

    name: str
    root: Path
    files: tuple[str, ...]
    settings: Mapping[str, Any]

    def megabytes(self) -> dict[str, float]:
        """Return the size of each vendored package, with its metadata, and of each entry beside them."""
        weights: Counter[str] = Counter()
        for file in self.files:
            entry = file.removeprefix("_vendor/").partition("/")[0]
            weights[entry.partition("-")[0].removesuffix(".py")] += (self.root / file).stat().st_size
        return {entry: weight / 1e6 for entry, weight in weights.items()}


@dataclass(frozen=True, slots=True)
class Build:
    """The output of one build.

    Args:
        functions: the functions by name.
        static: the files that are published unchanged, relative to the site's root.
        routes: the routes in `config.json`, in their order.
        crons: the crons in the same file.
        tools: the tools of the build; its Python runs the functions.
    """

    functions: Mapping[str, BuiltFunction]
    static: frozenset[str]
    routes: tuple[Mapping[str, Any], ...]
    crons: tuple[Mapping[str, str], ...]
    tools: Tools


def vercel_build(project: Path, tools: Tools, env: Mapping[str, str] | None = None) -> Build:
    """Build a project; the builder writes into the folder, so it must be a copy.

    No account is needed: the CLI gets an empty configuration and no token, and sends no requests.

    Args:
        project: the folder with `vercel.json`.
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
    """Collect the files of a function: those in its `.func` folder, and those in its file map."""
    settings = json.loads(config.read_text())
    name = config.parent.relative_to(project / ".vercel" / "output" / "functions").with_suffix("").as_posix()
    root = into / name
    shutil.copytree(config.parent, root, ignore=shutil.ignore_patterns(config.name))
    sources: dict[str, str] = settings.pop("filePathMap", {})
    vendored = {file: source for file, source in sources.items() if file.startswith(_VENDORED)}
    _link(project, {file: source for file, source in sources.items() if file not in vendored}, root)
    # Thousands of files, and mostly the same ones in each function: those have one folder, also for their `.pyc` files.
    shared = into / hashlib.sha256(json.dumps(vendored).encode()).hexdigest()
    if not shared.exists():
        _link(project, vendored, shared)
    (root / "_vendor").symlink_to(shared / "_vendor")
    return BuiltFunction(name, root, (*_files(root), *vendored), settings)


def _link(project: Path, sources: Mapping[str, str], into: Path) -> None:
    for file, source in sources.items():
        target = into / file
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(project / source, target)


def _files(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
