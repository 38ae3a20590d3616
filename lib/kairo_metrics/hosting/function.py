"""The functions of a project: the files in `api/`, the path of each, and the app that it defines."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from ..errors import HostingError

__all__ = ["Function", "discover", "load"]


@dataclass(frozen=True, slots=True)
class Function:
    """One file in `api/` and its ASGI app.

    Args:
        path: the path that it serves, such as `/api/content`.
        file: the file, relative to the project's root.
        app: the ASGI app that the file defines.
        state: the state that the app's lifespan sets for its requests.
    """

    path: str
    file: Path
    app: ASGIApp
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that this function serves without a rewrite: Vercel also serves it under the name of its file."""
        file = f"/{self.file.as_posix()}"
        return tuple(dict.fromkeys((self.path, file.removesuffix(".py"), file)))


def discover(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield path and file (relative to `root`) of every file in `api/` that may be a function, sorted by file.

    As on Vercel, files and folders whose name begins with `_` or `.` are left out, and `index.py` serves the path of
    its folder.

    Raises:
        HostingError: a file name has a dynamic segment, such as `[id].py`, which is not supported.
    """
    for file in sorted(root.glob("api/**/*.py")):
        relative = file.relative_to(root)
        if any(part.startswith(("_", ".")) for part in relative.parts):
            continue
        if "[" in relative.as_posix():
            raise HostingError(f"{relative}: dynamic segments are not supported; use a rewrite in vercel.json")
        module = relative.with_suffix("")
        yield "/" + (module.parent if module.name == "index" else module).as_posix(), relative


def load(root: Path, path: str, file: Path) -> Function | None:
    """Import `file` as the module `api.<name>`, and return its function, or None if it defines no app.

    Raises:
        HostingError: the import failed; the error holds the traceback.
    """
    name = ".".join(file.with_suffix("").parts)
    spec = importlib.util.spec_from_file_location(name, root / file)
    if spec is None or spec.loader is None:
        raise HostingError(f"{file} is not a Python module")
    module = importlib.util.module_from_spec(spec)
    # Registered before it runs, as the import system does: dataclasses and pickle look up their module by name.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as err:
        raise HostingError(f"{file} can't be imported:\n\n{''.join(traceback.format_exception(err))}") from err
    app = getattr(module, "app", getattr(module, "application", None))
    return None if app is None else Function(path, file, app)
