"""The package as users get it beside a copied folder: a wheel from a file, and a git address."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.deployment.platform.project import copy_library
from tests.support.dev_server import REPOSITORY

__all__ = ["Origins", "build_origins"]


@dataclass(frozen=True, slots=True)
class Origins:
    """Where the package can be installed from, and folders in which that has been done.

    Args:
        wheel: the wheel that `make wheel` builds.
        git: the address of a repository with the files of this one.
        wheel_site: a folder with the installed wheel.
        git_site: a folder with the package, installed from the git address.
    """

    wheel: Path
    git: str
    wheel_site: Path
    git_site: Path


def build_origins(folder: Path) -> Origins:
    """Build the wheel, make the repository, and install the package from each."""
    repository = folder / "repository"
    copy_library(repository)
    for name in ("setup.py", "lib/pyproject.toml"):
        shutil.copyfile(REPOSITORY / name, repository / name)
    options = ("user.name=user", "user.email=user@example.com", "commit.gpgsign=false")
    git = ["git", "-C", str(repository), *(word for option in options for word in ("-c", option))]
    for command in (["init", "--quiet"], ["add", "--all", "--force"], ["commit", "--quiet", "--message", "Import"]):
        subprocess.run([*git, *command], check=True)
    subprocess.run(_uv("build", "--wheel", "--out-dir", folder / "dist", repository / "lib"), check=True)
    [wheel] = (folder / "dist").glob("*.whl")
    origins = Origins(wheel, f"git+file://{repository}", folder / "wheel-site", folder / "git-site")
    for origin, site in ((str(wheel), origins.wheel_site), (origins.git, origins.git_site)):
        subprocess.run(_uv("pip", "install", "--no-deps", "--target", site, origin), check=True)
    return origins


def _uv(*arguments: str | Path) -> list[str]:
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    first, *rest = arguments
    at = rest[:1] if first == "pip" else []
    options = ["--quiet", "--python", sys.executable]
    return [uv, str(first), *map(str, at), *options, *map(str, rest[len(at) :])]
