"""How a project gets this package: a copied folder, or a requirement."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

__all__ = ["REQUIRED", "Library", "find_library", "library_files"]

PACKAGE = Path(__file__).parents[2]
# The folder of the package is copied into the first of these that the project's own code does not hide.
_FOLDERS = ("lib", "vendor", "third_party")
# What the package imports, and the oldest version that works. A project that installs the wheel gets them with it.
REQUIRED = {"prometheus-client": "0.20", "redis": "5", "starlette": "0.40"}
_INSTALLED = "kairo_metrics"
_FIRST = Path("__init__.py")


@dataclass(frozen=True, slots=True)
class Library:
    """The package, as a project has it or will have it.

    Args:
        module: its import name: `lib.kairo_metrics`, `kairo_metrics`, or where else the project has copied it to.
        copy: whether the folder must still be copied.
        requirement: the line that installs it; empty if it is copied, None if it is not known where it came from.
        wheel: the file to copy into the project, if that line names a copy of it.
    """

    module: str
    copy: bool = False
    requirement: str | None = ""
    wheel: Path | None = None

    @property
    def is_copied(self) -> bool:
        """Whether the project holds the package's files itself."""
        return self.module != _INSTALLED

    @property
    def folder(self) -> Path:
        """The folder of a copied package, relative to the project."""
        return Path(*self.module.split("."))

    @property
    def files(self) -> list[Path]:
        """What the project must deploy of it, relative to its code: one file of the folder, or the wheel."""
        if self.is_copied:
            return [self.folder / "__init__.py"]
        return [Path(self.requirement)] if self.requirement and self.requirement.startswith("./") else []


def find_library(root: Path, package: Path = PACKAGE, name: str = __name__, *, beside: Iterable[Path] = ()) -> Library:
    """Find the package in a project: in it, or else as it runs now.

    Args:
        root: the project.
        beside: the folders of its apps: Python may look for modules there first.
        package: the folder of the package that runs now.
        name: the name of a module of the package that runs now.
    """
    try:
        inside = package.resolve().relative_to(root.resolve()).parts
    except ValueError:
        inside = ()
    # An environment in the project has folders that are no Python names: .venv, site-packages.
    if inside and all(part.isidentifier() for part in inside):
        return Library(".".join(inside))
    for folder in _FOLDERS:
        if (root / folder / _INSTALLED / "__init__.py").is_file():
            return Library(f"{folder}.{_INSTALLED}")
    if name.partition(".")[0] != _INSTALLED:  # it runs in a clone
        free = (folder for folder in _FOLDERS if not _is_hidden(root, folder, beside))
        return Library(f"{next(free, _FOLDERS[0])}.{_INSTALLED}", copy=True)
    try:
        return _installed(root.resolve(), distribution("kairo-metrics"))
    except PackageNotFoundError:  # only on the path
        return Library(_INSTALLED, requirement=None)


def _is_hidden(root: Path, folder: str, beside: Iterable[Path]) -> bool:
    """Tell whether a module or package of the project, or a file, takes the place of a folder in the root."""
    elsewhere = [path / name for path in beside if path != root for name in (folder, f"{folder}.py")]
    return any(path.exists() for path in (root / f"{folder}.py", *elsewhere)) or (root / folder).is_file()


def _installed(root: Path, found: Distribution) -> Library:
    """Return the line that installs the package from where it came from (PEP 610)."""
    origin = json.loads(found.read_text("direct_url.json") or "{}")
    url: str = origin.get("url", "")
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        folder = f"#subdirectory={origin['subdirectory']}" if origin.get("subdirectory") else ""
        return Library(_INSTALLED, requirement=f"kairo-metrics @ {vcs['vcs']}+{url}@{vcs['commit_id']}{folder}")
    if url.endswith(".whl") and not url.startswith("file:"):
        return Library(_INSTALLED, requirement=f"kairo-metrics @ {url}")
    file = Path(url2pathname(unquote(urlsplit(url).path)))
    if url.endswith(".whl") and file.is_relative_to(root):
        return Library(_INSTALLED, requirement=f"./{file.relative_to(root).as_posix()}")
    if url.endswith(".whl") and file.is_file():
        return Library(_INSTALLED, requirement=f"./wheels/{file.name}", wheel=file)
    return Library(_INSTALLED, requirement=None)


def library_files() -> list[Path]:
    """Return the files of the package that runs now, relative to its folder.

    The file that tells a later run that the package is there comes last, so that a copy that was interrupted goes on.
    """
    files = [file.relative_to(PACKAGE) for file in PACKAGE.rglob("*") if file.is_file()]
    return sorted((file for file in files if "__pycache__" not in file.parts), key=lambda file: (file == _FIRST, file))
