"""The lines that a project's list of packages lacks."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..store_access import CommandError
from .library import REQUIRED
from .old_versions import too_old
from .package_lists import lines_in, lists_of_lines
from .text_file import read_text

__all__ = ["Requirements", "required_lines"]

PYPROJECT, PIPFILE = Path("pyproject.toml"), Path("Pipfile")
# A package that brings another one with it.
_BRINGS = {"starlette": {"fastapi", "starlette", "sse-starlette", "starlette-exporter", "python-fasthtml"}}


@dataclass(frozen=True, slots=True)
class Requirements:
    """What to change in a project's list of packages.

    Args:
        edits: the new text of each file, with the old one.
        by_hand: what the user must do, where no line can be written.
        old: versions in the list that are too old.
    """

    edits: tuple[tuple[Path, str | None, str], ...] = ()
    by_hand: tuple[str, ...] = ()
    old: tuple[str, ...] = ()


def required_lines(root: Path, code: Path, lines: Sequence[str]) -> Requirements:
    """Return the changes after which the project installs these packages.

    Args:
        root: the project.
        code: the folder with the code that is deployed, which has the list.
        lines: requirements, as in `requirements.txt`.
    """
    path = code / PYPROJECT
    pyproject = read_text(root, path)
    data = _toml(path, pyproject)
    project: dict[str, Any] | None = data.get("project")
    if pyproject is not None and project is not None:
        is_dynamic = "dependencies" in project.get("dynamic", ())
        if not is_dynamic:
            found = _in_pyproject(code, pyproject, data, lines, has_lock=(root / code / "uv.lock").is_file())
            return replace(found, old=_old(path, project.get("dependencies", [])))
        if not (root / code / "requirements.txt").is_file():
            return Requirements(by_hand=(f"add to your dependencies, which {path} has as dynamic: {', '.join(lines)}",))
    elif pyproject is not None and "poetry" in data.get("tool", {}):
        return _of_a_table(path, "poetry add", lines, data["tool"]["poetry"].get("dependencies", {}))
    pipfile = read_text(root, code / PIPFILE)
    if pipfile is not None and not (root / code / "requirements.txt").is_file():
        packages = _toml(code / PIPFILE, pipfile).get("packages", {})
        return _of_a_table(code / PIPFILE, "pipenv install", lines, packages)
    return _in_lists(root, code, lines)


def _of_a_table(path: Path, command: str, lines: Sequence[str], packages: Mapping[str, Any]) -> Requirements:
    """Return the command that adds lines to a table of packages and their versions."""
    missing = _missing(lines, list(packages))
    versions = {
        name: given.get("version", "") if isinstance(given, dict) else given for name, given in packages.items()
    }
    # A bare number is that version alone.
    present = [f"{name}{'==' if str(version)[:1].isdigit() else ' '}{version}" for name, version in versions.items()]
    by_hand = (f"{command} {' '.join(missing)}",) if missing else ()
    return Requirements(by_hand=by_hand, old=_old(path, present))


def _old(path: Path, present: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{path} has {line}: {needed} is needed" for line, needed in too_old(present, REQUIRED))


def _toml(path: Path, text: str | None) -> dict[str, Any]:
    try:
        return tomllib.loads(text or "")
    except tomllib.TOMLDecodeError as err:
        raise CommandError(f"{path} is not valid TOML: {err}; correct it first") from err


def _in_lists(root: Path, code: Path, lines: Sequence[str]) -> Requirements:
    edits: list[tuple[Path, str | None, str]] = []
    by_hand: list[str] = []
    old: list[str] = []
    for path in lists_of_lines(root, code):
        text, present = read_text(root, path), lines_in(root, path)
        old += _old(path, present)
        missing = _missing(lines, present)
        if not missing:
            continue
        source = path.with_suffix(".in")  # what it is compiled from
        source_text = read_text(root, source) if source != path else None
        unlisted = _missing(lines, lines_in(root, source)) if source_text is not None else []
        if source_text is not None and unlisted:
            edits.append((source, source_text, _with_lines(source_text, unlisted)))
        if text is not None and "--hash=" in text:
            # pip and uv refuse a line without a hash beside others with one.
            listed = "" if unlisted else f"add these lines to what it is compiled from: {', '.join(missing)}; "
            by_hand.append(f"{path} has hashes: {listed}then compile it again")
        else:
            edits.append((path, text, _with_lines(text or "", missing)))
    return Requirements(tuple(edits), tuple(by_hand), tuple(old))


def _with_lines(text: str, lines: Sequence[str]) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    if text and not text.endswith("\n"):
        text += newline
    return text + "".join(line + newline for line in lines)


def _missing(lines: Sequence[str], present: Sequence[str]) -> list[str]:
    names = {_name(line) for line in present}
    return [line for line in lines if not names & (_BRINGS.get(_name(line), set()) | {_name(line)})]


def _name(requirement: str) -> str:
    """Return a requirement's normalized name; of a wheel's path, the name of the wheel.

    Example:
        >>> _name("Prometheus_Client[twisted]>=0.20"), _name("./wheels/kairo_metrics-0.1.0-py3-none-any.whl")
        ('prometheus-client', 'kairo-metrics')
    """
    requirement = requirement.partition(" #")[0].strip()
    if requirement.endswith(".whl") and " @ " not in requirement:
        requirement = requirement.replace("\\", "/").rpartition("/")[2].partition("-")[0]
    if egg := re.search(r"#(?:.*&)?egg=([\w.-]+)", requirement):
        requirement = egg[1]
    found = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement)
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""


def _in_pyproject(code: Path, text: str, data: dict[str, Any], lines: Sequence[str], *, has_lock: bool) -> Requirements:
    present: list[str] = data["project"].get("dependencies", [])
    # A path in a requirements.txt is a source of uv's in pyproject.toml.
    paths = [line for line in lines if line.startswith("./")]
    missing = _missing([line for line in lines if line not in paths], present)
    by_hand = tuple(f"uv add {line}" for line in _missing(paths, present))
    if not missing:
        return Requirements(by_hand=by_hand)
    edited = _with_dependencies(text, missing, has_list="dependencies" in data["project"])
    expected = {**data, "project": {**data["project"], "dependencies": [*present, *missing]}}
    if edited is None or _parsed_or_none(edited) != expected:
        return Requirements(by_hand=(*by_hand, f"add to dependencies in {code / PYPROJECT}: {', '.join(missing)}"))
    lock = ("uv lock",) if has_lock else ()
    return Requirements(((code / PYPROJECT, text, edited),), (*by_hand, *lock))


def _parsed_or_none(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:  # the text is written in a way that the edit does not understand
        return None


def _with_dependencies(text: str, missing: Sequence[str], *, has_list: bool) -> str | None:
    """Return the text with more items in `dependencies` of `[project]`; the caller checks the result."""
    newline = "\r\n" if "\r\n" in text else "\n"
    header = re.search(r"^\[project\][^\n]*\n", text, re.MULTILINE)
    if header is None:
        return None
    items = [f'"{line}"' for line in missing]
    if not has_list:
        return f"{text[: header.end()]}dependencies = [{', '.join(items)}]{newline}{text[header.end() :]}"
    opening = re.compile(r"^dependencies\s*=\s*\[", re.MULTILINE).search(text, header.end())
    if opening is None:
        return None
    # Strings and comments may have brackets of their own.
    for token in re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|#[^\n]*|\]").finditer(text, opening.end()):
        if token[0] == "]":
            return _before_bracket(text, opening.end(), token.start(), items, newline)
    return None


def _before_bracket(text: str, start: int, end: int, items: Sequence[str], newline: str) -> str:
    inside = text[start:end]
    indent = re.search(r"\n([ \t]+)[\"']", inside)
    if indent is None:
        comma = ", " if inside.strip() and not inside.rstrip().endswith(",") else ""
        return text[:end] + comma + ", ".join(items) + text[end:]
    last = max(found.end() for found in re.finditer(r"\"[^\"\n]*\"|'[^'\n]*'|#[^\n]*", inside) if found[0][0] != "#")
    comma = "" if inside[last:].lstrip().startswith(",") else ","
    kept = inside[:last] + comma + inside[last:].rstrip(" \t\r\n")
    added = "".join(f"{newline}{indent[1]}{item}," for item in items)
    closing = inside[len(inside.rstrip(" \t\r\n")) :]
    return text[:start] + kept + added + closing + text[end:]
