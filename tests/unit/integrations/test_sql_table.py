"""Which table a text of SQL works on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.kairo_metrics.integrations.sql_table import sql_table


@pytest.mark.parametrize(
    ("sql", "table"),
    [
        ('SELECT "a"."id" FROM "a"', "a"),
        ("select * from public.Orders o join b on true", "orders"),
        ('SELECT * FROM "shop"."Orders"', "Orders"),
        ("SELECT * FROM `orders`;", "orders"),
        ("SELECT [from] FROM [dbo].[The Orders]", "The Orders"),
        ('SELECT "a ""quoted"" name" FROM "b"', "b"),
        # What stands in brackets among the columns does not count.
        ('SELECT (SELECT U0."x" FROM "inner" U0) AS "a" FROM "outer"', "outer"),
        ('SELECT EXTRACT(YEAR FROM "a"."made_at"), TRIM(BOTH FROM x) FROM "a"', "a"),
        # Of a subquery in FROM the table that it reads.
        ('SELECT COUNT(*) FROM (SELECT DISTINCT "id" FROM "a") subquery', "a"),
        ('SELECT * FROM (SELECT (SELECT 1 FROM "no") FROM (SELECT * FROM "a") x) y', "a"),
        ('(SELECT "id" FROM "a") UNION (SELECT "id" FROM "b")', "a"),
        ("WITH old AS (SELECT 1 FROM b) SELECT * FROM a", "a"),
        ("WITH RECURSIVE n(i) AS (SELECT 1) SELECT * FROM n", "n"),
        ("SELECT 'FROM b' FROM a -- FROM c", "a"),
        ("/* FROM c */ SELECT 1 FROM a", "a"),
        ('INSERT INTO "a" ("id") VALUES (1)', "a"),
        ("INSERT OR IGNORE INTO a VALUES (1)", "a"),
        ('INSERT INTO "a" SELECT * FROM "b"', "a"),
        ('UPDATE "a" SET "x" = (SELECT 1 FROM "b")', "a"),
        ("UPDATE ONLY public.a SET x = 1", "a"),
        ("UPDATE OR IGNORE a SET x = 1", "a"),
        ('DELETE FROM "a" WHERE "id" IN (SELECT "id" FROM "b")', "a"),
        ("DELETE a FROM a INNER JOIN b ON true", "a"),
        ("DELETE FROM ONLY a", "a"),
        ("SELECT 1", None),
        ("SELECT 1 WHERE 2 IN (SELECT 3 FROM a)", None),
        ("(SELECT 1) UNION SELECT 2 FROM a", None),
        ("PRAGMA table_info(a)", None),
        ("", None),
    ],
)
def test_table(sql: str, table: str | None) -> None:
    """The table is the first of FROM, or the one that is written to."""
    assert sql_table(sql) == table


def test_many_brackets() -> None:
    """A text with more brackets or points than Python has room for calls is read as well."""
    assert sql_table("SELECT * FROM " + "(SELECT * FROM " * 5_000 + "a") == "a"
    assert sql_table("SELECT * FROM " + "s." * 5_000 + "a") == "a"


WORDS = [
    *["SELECT", "FROM", "INSERT", "INTO", "UPDATE", "DELETE", "WITH", "AS", "(", ")", ".", ",", "[", "]", "`"],
    '"',
    "'",
]


@given(st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=4)), max_size=30).map(" ".join))
def test_any_text(sql: str) -> None:
    """Every text has a table or none; none is an error."""
    table = sql_table(sql)
    assert table is None or isinstance(table, str)
