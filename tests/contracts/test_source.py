"""Rules for the package's source that neither the linter nor the import contracts can check."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "lib" / "kairo_metrics"
# These start the functions of a project, and set variables for them.
WRITERS = {"dev/dev_server.py", "hosting/server.py"}
READERS = {"environ", "environb", "getenv", "getenvb"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Give each module's path below the package, and its syntax tree."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text())


def uses_of_the_environment(tree: ast.AST) -> dict[str, int]:
    """Count how often a module sets a variable of the environment, and how often it does anything else with it."""
    counts = {"write": 0, "read": 0}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            counts["read"] += sum(alias.name in READERS for alias in node.names)
        if isinstance(node, ast.Attribute) and node.attr in READERS and ast.unparse(node.value) == "os":
            counts["read"] += 1
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.ctx, ast.Store)
            and ast.unparse(node.value) == "os.environ"
        ):
            counts["write"] += 1
            counts["read"] -= 1  # it was counted as the attribute `os.environ`
    return counts


def compares_a_type_by_name(tree: ast.AST) -> bool:
    """Tell whether a module has a comparison with `type(x).__name__` or `x.__class__.__name__`."""
    return any(
        isinstance(operand, ast.Attribute)
        and operand.attr == "__name__"
        and (ast.unparse(operand.value).startswith("type(") or ast.unparse(operand.value).endswith(".__class__"))
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        for operand in (node.left, *node.comparators)
    )


def test_only_config_reads_the_environment() -> None:
    """Every variable that the package reads is checked in one room, and is documented there."""
    found = {name: uses_of_the_environment(tree) for name, tree in modules() if not name.startswith("config/")}
    assert {name for name, counts in found.items() if counts["read"]} == set()
    assert {name for name, counts in found.items() if counts["write"]} == WRITERS


def test_no_type_is_compared_by_its_name() -> None:
    """A type that a library renames breaks an import, where a comparison of names would be silently false."""
    assert [name for name, tree in modules() if compares_a_type_by_name(tree)] == []


@pytest.mark.parametrize(
    ("source", "writes", "reads"),
    [
        ("os.environ['A'] = '1'", 1, 0),
        ("value = os.environ['A']", 0, 1),
        ("value = os.environ.get('A')", 0, 1),
        ("value = os.getenv('A')", 0, 1),
        ("from os import environ", 0, 1),
        ("os.environ['A'] = os.environ['B']", 1, 1),
    ],
)
def test_the_scan_tells_reading_from_writing(source: str, writes: int, reads: int) -> None:
    """The rule about the environment sees each way to read it."""
    assert uses_of_the_environment(ast.parse(source)) == {"write": writes, "read": reads}


def test_the_scan_sees_a_type_compared_by_its_name() -> None:
    """The rule about types sees both ways to get a type's name."""
    assert compares_a_type_by_name(ast.parse("type(x).__name__ != 'Y'"))
    assert compares_a_type_by_name(ast.parse("'Y' == x.__class__.__name__"))
    assert not compares_a_type_by_name(ast.parse("function.__name__ == 'y'"))
