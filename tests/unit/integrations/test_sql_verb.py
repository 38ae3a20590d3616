"""The verb of a text of SQL."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.kairo_metrics.integrations.sql_verb import sql_verb


@pytest.mark.parametrize(
    ("sql", "verb"),
    [
        ("SELECT 1", "select"),
        ("  update t SET a = 1", "update"),
        ("(SELECT 1) UNION (SELECT 2)", "select"),
        ("-- delete\n/* insert */ SELECT 1", "select"),
        ("# delete\nSELECT 1", "select"),
        ("WITH c AS (SELECT 1) SELECT * FROM c", "select"),
        ("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c), d AS (SELECT 2) DELETE FROM t", "delete"),
        ("WITH c AS MATERIALIZED (SELECT ')') INSERT INTO t SELECT * FROM c", "insert"),
        ('WITH c AS (SELECT $q$ ) delete $q$, ") delete", [a) b], `x)` -- ) delete\n) UPDATE t SET a = 1', "update"),
        ("WITH c AS (SELECT data #> '{a}' FROM t) SELECT * FROM c", "select"),
        ("(WITH c AS (SELECT 1) SELECT * FROM c)", "select"),
        ("WITH c AS (SELECT 1) MERGE INTO t USING c ON true WHEN MATCHED THEN UPDATE SET a = 1", "other"),
        ("EXPLAIN SELECT 1", "other"),
        ("PRAGMA user_version", "other"),
        ("selection", "other"),
        ("WITH", "other"),
        ("", "other"),
    ],
)
def test_verb(sql: str, verb: str) -> None:
    """Comments, brackets and common table expressions before the verb do not hide it."""
    assert sql_verb(sql) == verb


@given(st.text())
def test_any_text_has_a_verb(sql: str) -> None:
    """No text, however broken, makes a query fail."""
    assert sql_verb(sql) in {"select", "insert", "update", "delete", "other"}
