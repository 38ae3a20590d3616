"""JSON text with a member or an item more: the rest of the text keeps its order, indentation and line breaks."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["with_item", "with_member"]

_DECODER = json.JSONDecoder()
_SPACE = re.compile("[ \t\r\n\ufeff]*")  # with the mark that some editors begin a file with
_CLOSING = {"{": "}", "[": "]"}


@dataclass(frozen=True, slots=True)
class _Entry:
    """A member of an object or an item of an array, by its positions in the text."""

    key: str | None
    start: int
    value: int
    end: int


def with_member(text: str, path: Sequence[str], key: str, value: Any, *, first: bool = False) -> str:
    r"""Return the text with another member in the object at `path`.

    Args:
        text: valid JSON.
        path: the keys that lead to the object, from the outermost.
        key: a key that the object does not have.
        value: anything that JSON can hold.
        first: whether it becomes the first member instead of the last.

    Example:
        >>> with_member('{\n    "a": [1,2]\n}', (), "b", {"c": None})
        '{\n    "a": [1,2],\n    "b": {\n        "c": null\n    }\n}'
    """
    return _inserted(text, path, f"{json.dumps(key)}: ", value, first=first)


def with_item(text: str, path: Sequence[str], value: Any) -> str:
    """Return the text with another item at the end of the array at `path`.

    Example:
        >>> with_item('{"a": [1,2]}', ["a"], 3)
        '{"a": [1,2, 3]}'
    """
    return _inserted(text, path, "", value, first=False)


def _inserted(text: str, path: Sequence[str], label: str, value: Any, *, first: bool) -> str:
    start = _start(text, path)
    entries, close = _entries(text, start)
    newline = "\r\n" if "\r\n" in text else "\n"
    unit = _indent_unit(text)
    outer = re.match(r"[ \t]*", text[text.rfind("\n", 0, start) + 1 :])
    assert outer is not None  # noqa: S101  the pattern matches the empty text
    if not entries:
        inner = outer[0] + unit
        piece = label + _rendered(value, unit, inner, newline)
        return f"{text[: start + 1]}{newline}{inner}{piece}{newline}{outer[0]}{text[close:]}"
    gap = text[start + 1 : entries[0].start]
    if "\n" in gap:
        inner = gap[gap.rfind("\n") + 1 :]
        piece, between = label + _rendered(value, unit, inner, newline), newline + inner
    else:  # all on one line
        piece, between = label + json.dumps(value, ensure_ascii=False), " "
    if first:
        at = entries[0].start
        return f"{text[:at]}{piece},{between}{text[at:]}"
    at = entries[-1].end
    return f"{text[:at]},{between}{piece}{text[at:]}"


def _rendered(value: Any, unit: str, indent: str, newline: str) -> str:
    return json.dumps(value, indent=unit, ensure_ascii=False).replace("\n", newline + indent)


def _start(text: str, path: Sequence[str]) -> int:
    """Return where the value at `path` begins."""
    at = _after_space(text, 0)
    for key in path:
        entries, _ = _entries(text, at)
        at = [entry.value for entry in entries if entry.key == key][
            -1
        ]  # of duplicate keys, JSON's parsers take the last
    return at


def _entries(text: str, start: int) -> tuple[list[_Entry], int]:
    """Return what the object or array at `start` has, and where its closing bracket is."""
    opening = text[start]
    entries = []
    at = _after_space(text, start + 1)
    while text[at] != _CLOSING[opening]:
        begin, key = at, None
        if opening == "{":
            key, at = _DECODER.raw_decode(text, at)
            at = _after_space(text, _after_space(text, at) + 1)  # behind the colon
        value = at
        _, at = _DECODER.raw_decode(text, at)
        entries.append(_Entry(key, begin, value, at))
        at = _after_space(text, at)
        if text[at] == ",":
            at = _after_space(text, at + 1)
    return entries, at


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None  # noqa: S101  the pattern matches the empty text
    return found.end()


def _indent_unit(text: str) -> str:
    found = re.search(r"\n([ \t]+)\S", text)
    return found[1] if found else "  "
