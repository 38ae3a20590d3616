"""The functions of a project: the files in `api/`, the path of each, and the app that it defines."""

from __future__ import annotations

import ast
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from starlette.types import ASGIApp

from ..entrypoints.interfaces import Interface, interface_of
from ..errors import HostingError
from .entry_point import entry_point_of, function_files, why_no_entry_point

__all__ = ["Function", "Skipped", "discover", "load"]


@dataclass(frozen=True, slots=True)
class Function:
    """One file in `api/` and its app.

    Args:
        path: the path that it serves, such as `/api/content`.
        file: the file, relative to the project's root.
        app: the app that the file defines; a WSGI app or a handler class is wrapped in an ASGI app.
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


@dataclass(frozen=True, slots=True)
class Skipped:
    """One file in `api/` that is no function.

    Args:
        file: the file, relative to the project's root.
        reason: what it lacks.
    """

    file: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.file} is no function: {self.reason}."


def discover(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield path and file (relative to `root`) of every file in `api/` that may be a function, sorted by file.

    As on Vercel, files and folders whose name begins with `_` or `.` are left out, and `index.py` serves the path of
    its folder.

    Raises:
        HostingError: a file name has a dynamic segment, such as `[id].py`, which is not supported.
    """
    for relative in function_files(root):
        if "[" in relative.as_posix():
            raise HostingError(f"{relative}: dynamic segments are not supported; use a rewrite in vercel.json")
        module = relative.with_suffix("")
        yield "/" + (module.parent if module.name == "index" else module).as_posix(), relative


def load(root: Path, path: str, file: Path) -> Function | Skipped:
    """Return the function that `file` defines; a file that defines one is imported as the module `api.<name>`.

    Raises:
        HostingError: the import failed; the error holds the traceback.
    """
    try:
        source = ast.parse((root / file).read_bytes(), str(file))
        name = entry_point_of(source)
        if name is None:
            return Skipped(file, why_no_entry_point(source))
        module = _imported(root, file)
    except Exception as err:
        raise HostingError(f"{file} can't be imported:\n\n{''.join(traceback.format_exception(err))}") from err
    if not hasattr(module, name):
        return Skipped(file, f"`{name}` has no value when the file is imported")
    try:
        return Function(path, file, _as_asgi(name, getattr(module, name)))
    except TypeError as err:
        return Skipped(file, str(err))


def _imported(root: Path, file: Path) -> ModuleType:
    name = ".".join(file.with_suffix("").parts)
    spec = importlib.util.spec_from_file_location(name, root / file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python module")
    module = importlib.util.module_from_spec(spec)
    # Registered before it runs, as the import system does: dataclasses and pickle look up their module by name.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _as_asgi(name: str, app: Any) -> ASGIApp:
    """Return the app, or an ASGI app in front of it.

    Raises:
        TypeError: it is not what Vercel serves under this name.
    """
    inner = getattr(app, "asgi", None)
    if callable(inner):  # Vercel asks for this attribute first
        app = inner
    interface = _interface(app)
    if name.lower() == "handler":
        if interface != "handler":
            raise TypeError(f"the class `{name}` is no subclass of http.server.BaseHTTPRequestHandler")
    elif interface not in {"asgi", "wsgi"}:
        raise TypeError(f"`{name}` is neither an ASGI nor a WSGI app")
    if interface == "asgi":
        asgi: ASGIApp = app
        return asgi
    # These forms need modules that the others don't.
    from .handler_app import HandlerApp

    if interface == "handler":
        return HandlerApp(app)
    from .wsgi_handler import wsgi_handler

    return HandlerApp(wsgi_handler(app))


def _interface(app: Any) -> Interface | None:
    try:
        return interface_of(app)
    except TypeError:
        return None
