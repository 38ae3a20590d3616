"""An app of the user's: what it is made with, and what it lacks."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...hosting.entry_point import entry_point_of
from .python_file import PythonFile, bindings, read_python

__all__ = ["FRAMEWORKS", "App", "Kind", "app_in"]

Kind = Literal["app", "handler class", "function"]

# By package, the framework's name. A file that imports several is made with the first of them.
FRAMEWORKS = {
    "fastapi": "FastAPI",
    "fasthtml": "FastHTML",
    "quart": "Quart",
    "flask": "Flask",
    "litestar": "Litestar",
    "django": "Django",
    "falcon": "Falcon",
    "bottle": "Bottle",
    "pyramid": "Pyramid",
    "starlette": "Starlette",
}
_OURS = {"health_app", "metrics_app", "metrics_wsgi_app", "push_app"}
_HANDLER_CLASS = "handler class"
_APPS = {"app", "application"}  # a function of another name takes events
_DEEPEST = 4  # files that lead to each other, until the app is made


@dataclass(frozen=True, slots=True)
class App:
    """What one file serves.

    Args:
        file: the file that a host loads.
        name: the name in it that the host takes.
        kind: an ASGI or WSGI app, a class of `http.server`, or a function that takes an event.
        framework: as a person calls it.
        measured: whether it is measured already, in this file or in the one where it is made.
        page: whether it serves the metrics page.
        ours: whether it is an app of this package, such as the page, which is not measured.
    """

    file: PythonFile
    name: str
    kind: Kind
    framework: str
    measured: bool
    page: bool
    ours: bool

    @property
    def path(self) -> Path:
        """The file, relative to the project."""
        return self.file.path


def app_in(root: Path, path: Path, name: str | None = None) -> App | None:
    """Return what a file serves, or None if it serves nothing.

    Args:
        root: the project.
        path: the file, relative to it.
        name: the name that the host takes; by default the one that Vercel takes.

    Raises:
        CommandError: the file can't be read, or is not valid Python.
    """
    file = read_python(root, path)
    name = name or entry_point_of(file.tree)
    if name is None or not (bound := bindings(file.tree, name)):
        return None
    files = list(_chain(root, file, bound[-1]))
    calls = [call for each in files for call in each.calls()]
    kind, framework = _kind(files, bound[-1])
    # A file may have several functions, and each has its own decorator.
    own = file.calls(bound[-1]) if kind == "function" else calls
    measured = any(call.name == ("measured" if kind == "function" else "instrument") for call in own)
    page = any(_is_page(call.name, call.keywords) for call in calls)
    return App(file, name, kind, framework, measured, page, not measured and any(call.name in _OURS for call in calls))


def _is_page(name: str, keywords: frozenset[str]) -> bool:
    return name in {"metrics_app", "metrics_wsgi_app"} or (name == "instrument" and "metrics_path" in keywords)


def _chain(root: Path, file: PythonFile, statement: ast.stmt) -> Iterator[PythonFile]:
    """Yield the file, and those of the project from which it takes the app or the function that makes it."""
    seen: set[Path] = set()
    for _ in range(_DEEPEST):
        yield file
        seen.add(file.path)
        origins = file.origins()
        source = next((origins[name] for name in _sources(statement) if name in origins), None)
        path = _module_file(root, file.path, source) if source else None
        if path is None or path in seen:
            return
        imported = (source or "").rpartition(".")[2]
        file = read_python(root, path)
        if not (bound := bindings(file.tree, imported)):
            yield file
            return
        statement = bound[-1]


def _sources(statement: ast.stmt) -> list[str]:
    """Return the names from which a statement takes what it binds, the outermost first."""
    if isinstance(statement, ast.ImportFrom | ast.Import):
        return [alias.asname or alias.name for alias in statement.names]
    value = getattr(statement, "value", None) or statement
    return [node.id for node in ast.walk(value) if isinstance(node, ast.Name)]


def _module_file(root: Path, importer: Path, source: str) -> Path | None:
    """Return the file of the project that a dotted name such as `shop.web.app` leads to."""
    dots = len(source) - len(source.lstrip("."))
    parts = source.lstrip(".").split(".")
    base = importer.parents[dots - 1] if 0 < dots <= len(importer.parents) else Path()
    starts = (base,) if dots else (Path(), importer.parent, Path("src"))
    # The last part is a name in the module, or a module itself.
    for start in starts:
        for stem in (Path(*parts[:-1]), Path(*parts)):
            for candidate in (start / stem.with_suffix(".py") if stem.name else None, start / stem / "__init__.py"):
                if candidate and candidate.name and stem.name and (root / candidate).is_file():
                    return candidate
    return None


def _kind(files: list[PythonFile], statement: ast.stmt) -> tuple[Kind, str]:
    if isinstance(statement, ast.ClassDef):
        return "handler class", _HANDLER_CLASS
    is_function = isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef)
    if is_function and getattr(statement, "name", "") not in _APPS:
        return "function", "function"
    for found in [file.packages() for file in files]:
        for package, framework in FRAMEWORKS.items():
            if package in found:
                return "app", framework
    if is_function:
        return "app", "ASGI app" if isinstance(statement, ast.AsyncFunctionDef) else "WSGI app"
    return "app", "app"
