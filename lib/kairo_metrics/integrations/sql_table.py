"""Which table a text of SQL works on: the first of its FROM, or the one that it writes to."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .sql_verb import OTHER, sql_verb

__all__ = ["sql_table"]

# In how many brackets it stands, the text in small letters unless it is quoted, and whether it is.
_Word = tuple[int, str, bool]

# The words after which the table comes; after UPDATE it comes at once.
_BEFORE_TABLE = {"select": "from", "delete": "from", "insert": "into"}
# What may stand before the table: UPDATE ONLY, UPDATE OR IGNORE, ...
_FILLERS = {"only", "or", "ignore", "replace", "rollback", "abort", "fail", "low_priority", "lateral"}
# Comments and strings hide what stands in them. A quoted name is one token, and no keyword.
_TOKEN = re.compile(
    r"""--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|"(?P<double>(?:[^"]|"")*)"|`(?P<tick>[^`]*)`|\[(?P<square>[^\]]*)\]|(?P<part>[().]|\w+)""",
    re.DOTALL,
)


def sql_table(sql: str) -> str | None:
    """Return the name of the table, without its schema; None if the text names none.

    Example:
        >>> sql_table('SELECT COUNT(*) FROM (SELECT DISTINCT "id" FROM "shop_order") subquery')
        'shop_order'
        >>> sql_table("UPDATE only public.orders SET paid = true")
        'orders'
    """
    verb = sql_verb(sql)
    if verb == OTHER:
        return None
    words = _words(sql)
    with_depth: int | None = None
    for depth, word, is_quoted in words:
        if is_quoted:
            continue
        if word == "with" and with_depth is None:
            with_depth = depth
        elif word == verb and with_depth in {None, depth}:  # not that of a common table expression
            return _table_after(_BEFORE_TABLE.get(verb), depth, words)
    return None


def _table_after(before: str | None, depth: int, words: Iterator[_Word]) -> str | None:
    """Return the name that stands after a word at this depth, or comes now; of a subquery the one that it reads."""
    is_next = before is None
    table: str | None = None
    for at, word, is_quoted in words:
        if table is not None:
            if is_quoted or word != ".":
                return table
            table, is_next = None, True  # it was the schema
        elif is_next:
            if word == "(" and not is_quoted:
                before, depth, is_next = "from", at, False
            elif is_quoted or word not in _FILLERS:
                table = word
        elif at < depth:
            return None
        elif at == depth and word == before and not is_quoted:
            is_next = True
    return table


def _words(sql: str) -> Iterator[_Word]:
    """Yield each word, bracket, point and name."""
    depth = 0
    for match in _TOKEN.finditer(sql):
        part = match["part"]
        quoted = next((name for name in match.group("double", "tick", "square") if name is not None), None)
        if quoted is not None:
            yield depth, quoted, True
        elif part is not None:
            depth += part == "("
            depth -= part == ")"
            yield depth, part.lower(), False
