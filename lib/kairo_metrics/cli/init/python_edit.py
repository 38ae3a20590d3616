"""The line that measures an app, put into its file; nothing else of the file changes."""

from __future__ import annotations

import ast

from .python_file import PythonFile, bindings
from .user_app import App

__all__ = ["measured_text"]


def measured_text(app: App, module: str, metrics_path: str | None = None) -> str | None:
    """Return the file's text with the app measured, or None if there is no place for the line.

    Args:
        app: an app that is not measured.
        module: our package's import name.
        metrics_path: where the app also serves the metrics page.
    """
    ours = "measured" if app.kind == "function" else "instrument"
    # A name that the file uses for something else keeps its meaning.
    name = f"kairo_{ours}" if ours in app.file.names() or bindings(app.file.tree, ours) else ours
    bound = bindings(app.file.tree, app.name)
    if not bound:
        return None
    statement = bound[-1]
    newline = "\r\n" if "\r\n" in app.file.text else "\n"
    lines = app.file.lines
    if isinstance(statement, ast.ClassDef) or app.kind == "function":
        if not isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            return None
        first = min([statement.lineno, *(decorator.lineno for decorator in statement.decorator_list)])
        at, line = first - 1, f"@{name}{newline}"
    else:
        page = f', metrics_path="{metrics_path}"' if metrics_path else ""
        at, line = _line_after(app.file, statement), f"{app.name} = {name}({app.name}{page}){newline}"
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            line = f"{newline}{newline}{line}"
    alias = "" if name == ours else f" as {name}"
    imported = f"from {module} import {ours}{alias}{newline}"
    if at == len(lines) and not lines[-1].endswith(("\n", "\r")):
        lines[-1] += newline
    import_at = _import_line(app.file, at)
    lines.insert(at, line)
    if not _imports_before(app.file, at):
        imported = f"{newline}{imported}" if import_at and ast.get_docstring(app.file.tree) else f"{imported}{newline}"
    lines.insert(import_at, imported)
    return "".join(lines)


def _line_after(file: PythonFile, statement: ast.stmt) -> int:
    """Return the number of lines up to the end of a statement, and of those that share its last line."""
    end = statement.end_lineno or statement.lineno
    while True:
        straddling = [each.end_lineno or each.lineno for each in file.tree.body if each.lineno <= end]
        if max(straddling) == end:
            return end
        end = max(straddling)


def _imports_before(file: PythonFile, line: int) -> list[ast.stmt]:
    """Return the top-level imports that end at this line or before."""
    return [
        statement
        for statement in file.tree.body
        if isinstance(statement, ast.Import | ast.ImportFrom) and (statement.end_lineno or statement.lineno) <= line
    ]


def _import_line(file: PythonFile, before: int) -> int:
    """Return after how many lines an import goes: behind the last import, else behind the docstring."""
    if imports := _imports_before(file, before):
        return min(before, _line_after(file, imports[-1]))
    first = file.tree.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return min(before, _line_after(file, first))
    decorators: list[ast.expr] = getattr(first, "decorator_list", [])
    return min(before, first.lineno - 1, *(decorator.lineno - 1 for decorator in decorators))
