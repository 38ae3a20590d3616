"""Queries of SQLAlchemy in `tenant_db_query_duration_seconds`."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from sqlalchemy import (
    Column,
    Engine,
    Executable,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    create_engine,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    union,
    update,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased, mapped_column

from lib.kairo_metrics.instruments.catalogue import OWN, QueryInstruments, catalogue
from lib.kairo_metrics.integrations import sqlalchemy as integration
from lib.kairo_metrics.integrations.sqlalchemy import observe

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine  # at run time it would need greenlet


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "authors"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(default="author")

    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "author"}  # noqa: RUF012 - SQLAlchemy's form


class Editor(Author):
    __mapper_args__ = {"polymorphic_identity": "editor"}  # noqa: RUF012 - the same


class Book(Base):
    __tablename__ = "books"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey(Author.id))


VISITS = Table("visits", MetaData(), Column("id", Integer, primary_key=True))

Counts = dict[tuple[str, str], float]


@pytest.fixture(autouse=True)
def _metrics_on() -> None:
    """Build the catalogue, which exists while metrics are on."""
    catalogue(QueryInstruments)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An observed engine on a file with tables."""
    engine = create_engine(f"sqlite:///{tmp_path}/books.sqlite3")
    Base.metadata.create_all(engine)
    VISITS.create(engine)
    observe(engine)
    yield engine
    engine.dispose()


def counted(work: Callable[[], object]) -> Counts:
    """Return how many queries `work` adds, by model and operation."""

    def counts() -> Counts:
        return {
            (sample.labels["model"], sample.labels["operation"]): sample.value
            for family in OWN.collect()
            for sample in family.samples
            if sample.name == "tenant_db_query_duration_seconds_count"
        }

    before = counts()
    work()
    return {key: value - before.get(key, 0) for key, value in counts().items() if value != before.get(key, 0)}


def executed(engine: Engine, statement: Executable) -> Counts:
    def work() -> None:
        with engine.begin() as connection:
            connection.execute(statement)

    return counted(work)


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
        (text("WITH a AS (SELECT 1) SELECT * FROM a"), "raw", "other"),
    ],
)
def test_labels(engine: Engine, statement: Executable, model: str, operation: str) -> None:
    """A query is counted once, under its class and its operation."""
    assert executed(engine, statement) == {(model, operation): 1}
    # The second time SQLAlchemy takes the statement from its cache. A row with the same key would be an error.
    executed(engine, delete(Author))
    assert executed(engine, statement) == {(model, operation): 1}


def test_unit_of_work(engine: Engine) -> None:
    """What a session writes is counted under the class; BEGIN and COMMIT are not counted."""

    def work() -> None:
        with Session(engine) as session, session.begin():
            author = Author(id=1)
            session.add(author)
            session.flush()
            author.kind = "editor"
            session.flush()
            session.delete(author)

    assert counted(work) == {("Author", "insert"): 1, ("Author", "update"): 1, ("Author", "delete"): 1}


def test_many_rows_in_one_statement(engine: Engine) -> None:
    """A bulk insert is one query, as it is in the database."""

    def work() -> None:
        with Session(engine) as session, session.begin():
            session.execute(insert(Author), [{"id": number} for number in range(50)])

    assert counted(work) == {("Author", "insert"): 1}


def test_driver_sql(engine: Engine) -> None:
    """SQL for the driver alone counts as raw."""

    def work() -> None:
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")

    assert counted(work) == {("raw", "select"): 1}


def test_schema_changes_belong_to_no_model(engine: Engine) -> None:
    """Creating and dropping tables counts as raw, and not under a model."""

    def work() -> None:
        VISITS.drop(engine)
        VISITS.create(engine)

    assert counted(work).keys() == {("raw", "other")}


def test_failing_query(engine: Engine) -> None:
    """A query that fails is measured, too, and its error is unchanged."""
    VISITS.drop(engine)

    def work() -> None:
        with engine.connect() as connection, pytest.raises(OperationalError, match="no such table"):
            connection.execute(select(VISITS))

    assert counted(work) == {("visits", "select"): 1}


def test_refused_connection(tmp_path: Path) -> None:
    """A database that can't be opened is an error, and no query is counted."""
    engine = create_engine(f"sqlite:///{tmp_path}/no/such/folder.sqlite3")
    observe(engine)

    def work() -> None:
        with pytest.raises(OperationalError):
            engine.connect()

    assert counted(work) == {}


def test_observed_twice(engine: Engine) -> None:
    """An engine that several threads observe at once counts each query once."""
    threads = [Thread(target=observe, args=[engine]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert executed(engine, select(Author)) == {("Author", "select"): 1}


def test_async_engine(tmp_path: Path) -> None:
    """The queries of an asynchronous engine are counted."""
    engine = create_engine(f"sqlite:///{tmp_path}/books.sqlite3")
    # Only this attribute is used; a real asynchronous engine would need another driver.
    observe(cast("AsyncEngine", SimpleNamespace(sync_engine=engine)))
    assert executed(engine, select(literal(1))) == {("raw", "select"): 1}
    engine.dispose()


def test_duration(engine: Engine) -> None:
    """The duration is the time of the execution, in seconds."""

    def total() -> float:
        labels = {"model": "raw", "operation": "select"}
        return OWN.get_sample_value("tenant_db_query_duration_seconds_sum", labels) or 0.0

    slow = text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT max(i) FROM n")
    before = total()
    with engine.connect() as connection:
        connection.execute(text(f"SELECT * FROM ({slow.text})")).all()
    assert 0.005 < total() - before < 10


def test_tables_without_limit(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that creates tables as it runs does not create series without a limit: further tables share one."""
    monkeypatch.setattr(integration, "_MAX_MODELS", 2)
    monkeypatch.setattr(integration, "_models", set())

    def work() -> None:
        with engine.begin() as connection:
            for number in range(4):
                table = Table(f"made_up_{number}", MetaData(), Column("id", Integer))
                table.create(connection)
                connection.execute(select(table))

    counts = counted(work)
    assert counts.pop(("raw", "other")) > 0
    assert counts == {("made_up_0", "select"): 1, ("made_up_1", "select"): 1, ("__overflow__", "select"): 2}


def test_nothing_is_kept(engine: Engine) -> None:
    """The labels of a statement are forgotten with the statement."""
    gc.collect()
    before = len(integration._labels_of)
    with engine.connect().execution_options(compiled_cache=None) as connection:
        for number in range(50):
            connection.execute(text(f"SELECT {number}"))
    gc.collect()
    assert len(integration._labels_of) == before
