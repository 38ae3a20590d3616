"""The files that may be functions, and the name that Vercel takes from the source of each, without importing it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

__all__ = ["entry_point_of", "function_files", "why_no_entry_point"]

_APPS = {"app", "application"}
_HANDLERS = {"handler", "Handler"}


def function_files(root: Path) -> Iterator[Path]:
    """Yield every file in `api/` that may be a function, relative to `root` and sorted.

    As on Vercel, files and folders whose name begins with `_` or `.` are left out.
    """
    for file in sorted(root.glob("api/**/*.py")):
        relative = file.relative_to(root)
        if not any(part.startswith(("_", ".")) for part in relative.parts):
            yield relative


def entry_point_of(source: ast.Module) -> str | None:
    r"""Return the name that Vercel serves: the first top-level `app`, `application`, or class `handler` or `Handler`.

    Args:
        source: the file's source.

    Example:
        >>> entry_point_of(ast.parse("class Handler(Base): ...\napp = FastAPI()"))
        'Handler'
    """
    return next((name for statement in source.body for name in _names(statement)), None)


def why_no_entry_point(source: ast.Module) -> str:
    """Return what a file lacks that has no entry point.

    Example:
        >>> why_no_entry_point(ast.parse("handler = Mangum(api)"))
        'Vercel takes `handler` as a class alone: assign the app to the name `app`'
    """
    used = {name for node in ast.walk(source) for name in _bound(node)}
    if found := sorted(used & _APPS):
        return f"Vercel does not see `{found[0]}` in this form: assign it at the top level, as in `{found[0]} = ...`"
    if found := sorted(used & _HANDLERS):
        return f"Vercel takes `{found[0]}` as a class alone: assign the app to the name `app`"
    return "it has no top-level `app` or `application`, and no class `handler`"


def _names(statement: ast.stmt) -> list[str]:
    """Return the entry points that a top-level statement defines for Vercel."""
    match statement:
        case ast.ClassDef(name=name):
            return [name] if name in _HANDLERS else []
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            names = [name]
        case ast.Assign(targets=targets):
            names = [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            names = [name]
        case ast.ImportFrom(names=imported):
            names = [alias.asname or alias.name for alias in imported]
        case _:
            names = []
    return [name for name in names if name in _APPS]


def _bound(node: ast.AST) -> list[str]:
    """Return the names that a node at any level defines."""
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return [name]
        case ast.Name(id=name, ctx=ast.Store()):
            return [name]
        case ast.alias(name=name, asname=asname):
            return [asname or name]
    return []
