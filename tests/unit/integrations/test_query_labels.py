"""The model and the operation under which a query of SQLAlchemy counts."""

from __future__ import annotations

import pytest
from sqlalchemy import (
    Column,
    Engine,
    Executable,
    Integer,
    MetaData,
    Table,
    column,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    table,
    text,
    true,
    union,
    update,
)
from sqlalchemy.orm import aliased, joinedload

from lib.kairo_metrics.integrations import query_labels as integration
from lib.kairo_metrics.integrations.bounded import BoundedLabel
from tests.support.books import AUTHORS, BOOKS, VISITS, Author, Book, Editor, Poet, Volume, counted, executed


@pytest.mark.parametrize(
    ("statement", "model", "operation"),
    [
        (select(Author), "Author", "select"),
        (select(Author.id), "Author", "select"),
        (select(Author.__table__), "Author", "select"),
        (select(Editor), "Author", "select"),
        (select(aliased(Author)), "Author", "select"),
        (select(func.count()).select_from(Author), "Author", "select"),
        (select(Author).join(Book), "Author", "select"),
        (select(Author.kind).join(Book), "Author", "select"),
        (select(func.count()).select_from(Book).join(Author), "Book", "select"),
        (select(Book).join_from(Author, Book), "Author", "select"),
        (select(Author).outerjoin(select(Book.author_id).subquery(), true()), "Author", "select"),
        (select(Author).join(select(Book.author_id).cte(), true()), "Author", "select"),
        (select(AUTHORS.c.id).join(BOOKS), "Author", "select"),
        (select(BOOKS.c.id, AUTHORS.c.id).select_from(AUTHORS.join(BOOKS)), "Author", "select"),
        (select(select(func.count(Book.id)).scalar_subquery(), Author.kind), "Author", "select"),
        (select(Book).options(joinedload(Book.author)).limit(1), "Book", "select"),
        (select(Poet), "Poet", "select"),
        (select(aliased(Poet)), "Poet", "select"),
        (select(func.count()).select_from(Poet), "Poet", "select"),
        (select(Volume), "Volume", "select"),
        (select(BOOKS), "Book", "select"),
        (select(union(select(Author.id), select(Book.id)).subquery()), "Author", "select"),
        (select(Author).from_statement(text("SELECT * FROM authors")), "Author", "select"),
        (select(text("1")).select_from(Book), "Book", "select"),
        (select(column("id")).select_from(table("visits")), "visits", "select"),
        (select(VISITS.c.id, AUTHORS.c.id).where(VISITS.c.id == AUTHORS.c.id), "visits", "select"),
        (text("SELECT id FROM authors").columns(Author.id), "raw", "select"),
        (select(exists(select(Book.id))), "Book", "select"),
        (select(select(func.count(Book.id)).scalar_subquery()), "Book", "select"),
        (update(Author).values(kind="x").where(Author.id == Book.author_id), "Author", "update"),
        (update(aliased(Author)).values(kind="x"), "Author", "update"),
        (insert(Author).values(id=1).returning(Author.id), "Author", "insert"),
        (select(Book).where(select(Author).where(Author.id == Book.author_id).exists()), "Book", "select"),
        (select(select(Author.id).cte()), "Author", "select"),
        (union(select(Author.id), select(Book.id)), "Author", "select"),
        (insert(Author).values(id=1), "Author", "insert"),
        (insert(Book).from_select(["id", "author_id"], select(Author.id, Author.id)), "Book", "insert"),
        (
            update(Author).values(kind="x").where(Author.id == select(func.max(Book.id)).scalar_subquery()),
            "Author",
            "update",
        ),
        (delete(Author).where(Author.id == 7), "Author", "delete"),
        (select(VISITS), "visits", "select"),
        (insert(VISITS), "visits", "insert"),
        (select(literal(1)), "raw", "select"),
        (text("SELECT id FROM authors"), "raw", "select"),
        (text("\n  delete FROM authors"), "raw", "delete"),
        (text("PRAGMA user_version"), "raw", "other"),
        (text("WITH a AS (SELECT 1) SELECT * FROM a"), "raw", "select"),
        (text("/* select */ -- select\n DELETE FROM authors"), "raw", "delete"),
    ],
)
def test_labels(engine: Engine, statement: Executable, model: str, operation: str) -> None:
    """A query is counted once, under its class and its operation."""
    assert executed(engine, statement) == {(model, operation): 1}
    # The second time SQLAlchemy takes the statement from its cache. A row with the same key would be an error.
    executed(engine, delete(Author))
    assert executed(engine, statement) == {(model, operation): 1}


def test_unknown_construct(engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A statement that can't be understood is executed and counted as raw, and logged."""
    monkeypatch.setattr(integration, "_table", lambda _: 1 / 0)
    assert executed(engine, select(Author).where(Author.id == 77)) == {("raw", "select"): 1}
    assert "the model of a query is not known" in caplog.text


def test_tables_without_limit(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that creates tables as it runs does not create series without a limit: further tables share one."""
    monkeypatch.setattr(integration, "_model_label", BoundedLabel(2))

    def work() -> None:
        with engine.begin() as connection:
            for number in range(4):
                made_up = Table(f"made_up_{number}", MetaData(), Column("id", Integer))
                made_up.create(connection)
                connection.execute(select(made_up))

    counts = counted(work)
    assert counts.pop(("raw", "other")) > 0
    assert counts == {("made_up_0", "select"): 1, ("made_up_1", "select"): 1, ("__overflow__", "select"): 2}
