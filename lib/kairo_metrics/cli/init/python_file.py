"""A Python file of the user's, read but never imported: its text, and what it binds, imports and measures."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..store_access import CommandError

__all__ = ["Call", "PythonFile", "bindings", "read_python"]

PACKAGE = "kairo_metrics"


@dataclass(frozen=True, slots=True)
class Call:
    """A use of one of our functions, as a call or as a decorator.

    Args:
        name: our name of it, such as `instrument`.
        keywords: the keywords of the call.
    """

    name: str
    keywords: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PythonFile:
    """One file.

    Args:
        path: relative to the project.
        text: its text, with its own line breaks.
        encoding: the one that its first lines declare.
        tree: the parsed text.
    """

    path: Path
    text: str
    encoding: str
    tree: ast.Module

    @property
    def lines(self) -> list[str]:
        """The lines as the parser counts them, with their line breaks."""
        return io.StringIO(self.text, newline="").readlines()

    def origins(self) -> dict[str, str]:
        """Return where each imported name comes from: `{"FastAPI": "fastapi.FastAPI"}`, with dots if it is relative."""
        found: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    found[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom):
                module = "." * node.level + (node.module or "")
                separator = "" if module.endswith(".") else "."
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{module}{separator}{alias.name}"
        return found

    def packages(self) -> set[str]:
        """Return the packages that the file imports anywhere, by their first names."""
        found = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.partition(".")[0])
        return found

    def calls(self, within: ast.stmt | None = None) -> list[Call]:
        """Return every use of our functions, whatever the file calls them, in the file or in one statement."""
        origins = self.origins()
        return [call for node in ast.walk(within or self.tree) for call in _uses(node, origins)]

    def names(self) -> set[str]:
        """Return every name that the file uses."""
        return {node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name)} | set(self.origins())


def read_python(root: Path, path: Path) -> PythonFile:
    """Read and parse a file.

    Raises:
        CommandError: it can't be read, or is not valid Python.
    """
    try:
        content = (root / path).read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        text = content.decode(encoding)
        return PythonFile(path, text, encoding, ast.parse(content, str(path)))
    except OSError as err:
        raise CommandError(f"{path} can't be read: {err.strerror}") from err
    except (SyntaxError, ValueError) as err:
        raise CommandError(f"{path} is not valid Python: {err}") from err


def bindings(tree: ast.Module, name: str) -> list[ast.stmt]:
    """Return the top-level statements that bind a name, also inside `if`, `try` and `with`, in their order."""
    return [
        statement
        for statement in tree.body
        if not _only_as_program(statement) and any(_binds(node, name) for node in _same_scope(statement))
    ]


def _only_as_program(statement: ast.stmt) -> bool:
    """Tell whether it is `if __name__ == "__main__":`, which no host runs."""
    return isinstance(statement, ast.If) and any(
        isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(statement.test)
    )


def _same_scope(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the node and what it holds, but for the bodies of functions and classes."""
    yield node
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        for child in ast.iter_child_nodes(node):
            yield from _same_scope(child)


def _binds(node: ast.AST, name: str) -> bool:
    match node:
        case ast.AnnAssign(value=None):
            return False
        case ast.FunctionDef(name=bound) | ast.AsyncFunctionDef(name=bound) | ast.ClassDef(name=bound):
            return bound == name
        case ast.Assign(targets=targets):
            return any(isinstance(inner, ast.Name) and inner.id == name for each in targets for inner in ast.walk(each))
        case ast.AnnAssign(target=ast.Name(id=bound)) | ast.NamedExpr(target=ast.Name(id=bound)):
            return bound == name
        case ast.alias(name=imported, asname=alias):
            return (alias or imported) == name
    return False


def _uses(node: ast.AST, origins: dict[str, str]) -> Iterator[Call]:
    if isinstance(node, ast.Call) and (name := _our_name(node.func, origins)):
        yield Call(name, frozenset(keyword.arg for keyword in node.keywords if keyword.arg))
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        for decorator in node.decorator_list:
            if not isinstance(decorator, ast.Call) and (name := _our_name(decorator, origins)):
                yield Call(name)


def _our_name(node: ast.expr, origins: dict[str, str]) -> str | None:
    """Return our name of what an expression means: `kairo_metrics.instrument`, or a name imported from it."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in origins:
        return None
    *modules, name = [*origins[node.id].split("."), *parts]
    return name if PACKAGE in modules else None
