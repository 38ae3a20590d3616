"""What a text of SQL does: its verb, past comments, brackets and common table expressions."""

from __future__ import annotations

import re

__all__ = ["CONNECT", "OTHER", "RAW", "sql_verb"]

# Labels of what is no query on a model: its model, its operation, and the operation where there was no connection.
RAW = "raw"
OTHER = "other"
CONNECT = "connect"
_VERBS = {"select", "insert", "update", "delete"}
# After WITH these begin the statement itself as well; of none of them a later word is the verb.
_OTHER_VERBS = {"merge", "replace", "values", "table"}
# Comments, and what is quoted as a string, as an identifier, or between $tags$, hide what stands in them.
_TOKEN = re.compile(
    r"""--[^\n]*|^\s*\#[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|(\$\w*\$).*?\1|(?P<part>[()]|\w+)""",
    re.DOTALL | re.MULTILINE,
)


def sql_verb(sql: str) -> str:
    """Return `select`, `insert`, `update` or `delete` if a text of SQL is one of these, else `other`.

    Example:
        >>> sql_verb("/* nightly */ WITH old AS (SELECT 1) DELETE FROM entries"), sql_verb("PRAGMA user_version")
        ('delete', 'other')
    """
    depth = 0
    with_depth: int | None = None
    for token in _TOKEN.finditer(sql):
        part = (token["part"] or "").lower()
        if part == "(":
            depth += 1
        elif part == ")":
            depth -= 1
        elif with_depth is None and part == "with":
            with_depth = depth
        elif part and (with_depth is None or (depth == with_depth and part in _VERBS | _OTHER_VERBS)):
            return part if part in _VERBS else OTHER
    return OTHER
