"""JSON text that gets a member or an item more."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.kairo_metrics.cli.init.json_text import with_item, with_member

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
FORMS = st.sampled_from([{"indent": 2}, {"indent": 4}, {"indent": "\t"}, {}, {"separators": (",", ":")}])
NEWLINES = st.sampled_from(["\n", "\r\n"])


def written(value: Any, form: dict[str, Any], newline: str) -> str:
    """Write a value as a person's editor would."""
    return json.dumps(value, **form).replace("\n", newline) + newline


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), VALUES, FORMS, NEWLINES, st.booleans())
def test_an_object_gets_the_member_and_keeps_the_rest(
    data: dict[str, Any], value: Any, form: dict[str, Any], newline: str, first: bool
) -> None:
    """Whatever the file holds and however it is written: the new member is there, and the old text as well."""
    data.pop("new", None)
    before = written({"outer": data, "last": 1}, form, newline)
    after = with_member(before, ["outer"], "new", value, first=first)
    expected = {"new": value, **data} if first else {**data, "new": value}
    assert json.loads(after) == {"outer": expected, "last": 1}
    assert list(json.loads(after)["outer"]) == list(expected)
    assert ("\r" in after) == (newline == "\r\n" and "\n" in before)
    # Nothing of the old text is lost: it is what stands before and behind the new piece.
    pairs = enumerate(zip(before, after, strict=False))
    start = next((at for at, (old, new) in pairs if old != new), len(before))
    assert after.endswith(before[start:])


@given(st.lists(VALUES, max_size=4), VALUES, FORMS)
def test_an_array_gets_the_item(items: list[Any], value: Any, form: dict[str, Any]) -> None:
    """The new item is the last one."""
    before = written({"rules": items}, form, "\n")
    assert json.loads(with_item(before, ["rules"], value)) == {"rules": [*items, value]}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{}", '{\n  "a": 1\n}'),
        ('{"b": 2}', '{"b": 2, "a": 1}'),
        ('{\n\t"b": [1,2]\n}\n', '{\n\t"b": [1,2],\n\t"a": 1\n}\n'),
        ('\ufeff{\n  "b" : 2\n}', '\ufeff{\n  "b" : 2,\n  "a": 1\n}'),
        ('{\n\n      "b": {"a": 0}\n\n}', '{\n\n      "b": {"a": 0},\n      "a": 1\n\n}'),
    ],
)
def test_the_new_member_is_written_like_the_others(before: str, after: str) -> None:
    """It has the indentation of the members before it, and stands on their line if they are all on one."""
    assert with_member(before, (), "a", 1) == after
