"""The tools of a build: Vercel's CLI, and the Python of its functions."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PYTHON_VERSION", "ToolMissing", "Tools", "find_tools"]

# The version for the functions; the tests themselves may run on another.
PYTHON_VERSION = "3.12"

_CLI = Path(__file__).parent / "node_modules" / ".bin" / "vercel"


class ToolMissing(Exception):
    """A tool is not installed; the message says what to install."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The programs of a build.

    Args:
        cli: Vercel's command line.
        python: the interpreter that builds the functions and runs them. It is not in a virtual environment,
            so that a function finds only the libraries in its own bundle.
    """

    cli: Path
    python: Path

    def environment(self) -> dict[str, str]:
        """Return the environment for the CLI: Python and uv are on PATH, and telemetry is off."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("VERCEL")}
        uv = Path(sys.executable).parent  # it is a requirement of the tests, so it is installed beside their Python
        path = os.pathsep.join([str(self.python.parent), str(uv), inherited.get("PATH", os.defpath)])
        return {**inherited, "PATH": path, "VERCEL_TELEMETRY_DISABLED": "1"}


def find_tools(version: str = PYTHON_VERSION) -> Tools:
    """Find the tools of a build.

    Args:
        version: of Python, for the functions.

    Raises:
        ToolMissing: a tool is not installed.
    """
    if shutil.which("node") is None or not _CLI.exists():
        raise ToolMissing("install Node.js 20 or newer with npm, and run make platform")
    for candidate in (sys.executable, shutil.which(f"python{version}")):
        if candidate and (python := _outside_environments(candidate, version)):
            return Tools(_CLI, python)
    raise ToolMissing(f"install Python {version}, as python{version} on PATH: it is Vercel's")


def _outside_environments(python: str, version: str) -> Path | None:
    """Return the interpreter behind an environment's or pyenv's `python`, if it has the right version.

    A developer's pyenv refuses a version that is not chosen, so this one is chosen for the call.
    """
    asked = subprocess.run(
        [python, "-c", "import sys; print(sys.base_prefix)"],
        env={**os.environ, "PYENV_VERSION": version},
        capture_output=True,
        text=True,
        check=False,
    )
    found = Path(asked.stdout.strip(), "bin", f"python{version}")
    return found if asked.returncode == 0 and found.exists() else None
