"""The pieces of `vercel.json` that a project lacks, put into its text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from .json_text import with_item, with_member
from .layout import Layout
from .library import Library
from .vercel_config import PRESETS, VercelConfig

__all__ = ["preset_of", "vercel_text"]

_SCHEMA = "https://openapi.vercel.sh/vercel.json"
_ENTRY_NAMES = {"app", "index", "server", "main", "wsgi", "asgi"}
_NO_CACHE = {"key": "Cache-Control", "value": "private, no-store"}
_MAX_DURATION_S = 30  # longer than a scrape may take


def preset_of(layout: Layout) -> str:
    """Return Vercel's name of the preset for a project of one app."""
    return PRESETS.get(layout.apps[0].framework, "python")


@dataclass(frozen=True, slots=True)
class _Piece:
    """A member of an object, or an item of an array if `key` is None."""

    path: tuple[str, ...]
    key: str | None
    value: Any
    first: bool = False


def vercel_text(
    vercel: VercelConfig, layout: Layout, library: Library, page_file: Path, *, has_frontend: bool
) -> str | None:
    """Return the text of `vercel.json` with every piece that it lacked; None if there is none and none is needed."""
    pieces = list(_pieces(vercel, layout, library, page_file, has_frontend=has_frontend))
    if vercel.text is None:
        if not pieces:
            return None
        data: dict[str, Any] = {"$schema": _SCHEMA}
        for piece in pieces:
            _add(data, piece)
        return json.dumps(data, indent=2) + "\n"
    text = vercel.text
    for piece in pieces:
        if piece.key is None:
            text = with_item(text, piece.path, piece.value)
        else:
            text = with_member(text, piece.path, piece.key, piece.value, first=piece.first)
    return text


def _add(data: dict[str, Any], piece: _Piece) -> None:
    """Add a piece to the content of a new file, where its container is there already."""
    for key in piece.path:
        data = data[key]
    data[piece.key or ""] = piece.value


def _pieces(
    vercel: VercelConfig, layout: Layout, library: Library, page_file: Path, *, has_frontend: bool
) -> Iterator[_Piece]:
    data = vercel.data
    if vercel.routes_itself:  # the old form, which accepts none of these
        return
    if "framework" not in data and vercel.preset is None and not has_frontend:
        yield _Piece((), "framework", preset_of(layout) if layout.preset else None)
    if layout.one_app:
        return
    page = page_file.as_posix()
    limits = {"maxDuration": _MAX_DURATION_S, "excludeFiles": _excluded(library)}
    if "functions" not in data:
        yield _Piece((), "functions", {page: limits})
    elif not _has_limits(data["functions"], page):
        yield _Piece(("functions",), page, limits, first=True)  # the first glob that matches wins
    if rewrite := _everything(vercel, layout, has_frontend=has_frontend):
        yield _Piece((), "rewrites", [rewrite])
    source = f"/{page_file.with_suffix('').as_posix()}"
    rule = {"source": source, "headers": [_NO_CACHE]}
    if "headers" not in data:
        yield _Piece((), "headers", [rule])
    elif not _has_header(data["headers"], source):
        yield _Piece(("headers",), None, rule)


def _everything(vercel: VercelConfig, layout: Layout, *, has_frontend: bool) -> Mapping[str, str] | None:
    """Return the rule that leads every path to the only app, as the preset does that Vercel would choose for it."""
    only = layout.apps[0]
    chosen = "framework" in vercel.data or "rewrites" in vercel.data or "functions" in vercel.data or has_frontend
    if chosen or len(layout.apps) > 1 or only.kind != "app" or only.path.stem not in _ENTRY_NAMES:
        return None
    return {"source": "/(.*)", "destination": f"/{only.path.with_suffix('').as_posix()}"}


def _has_limits(functions: Mapping[str, Any], page: str) -> bool:
    """Tell whether the first glob that matches the page, which Vercel takes, names the page or limits it as well."""
    for glob, limits in functions.items():
        if fnmatchcase(page, glob.replace("**/", "")):
            return glob == page or (isinstance(limits, dict) and {"maxDuration", "excludeFiles"} <= set(limits))
    return False


def _has_header(rules: Sequence[Any], source: str) -> bool:
    return any(isinstance(rule, dict) and rule.get("source") == source for rule in rules)


def _excluded(library: Library) -> str:
    """Return the glob of what the page's function does not need: all but itself and the package."""
    if not library.is_copied:
        return "{!api,!api/**,**/.env*}"
    top, folder = library.folder.parts[0], library.folder.as_posix()
    unused = f"{folder}/{{cli,dev,hosting,testing,store/admin}}/**"
    return f"{{!(api|{top}),!(api|{top})/**,**/.env*,**/*.{{proto,pyi}},{unused}}}"
