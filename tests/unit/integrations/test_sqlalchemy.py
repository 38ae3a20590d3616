"""Queries of SQLAlchemy in `tenant_db_query_duration_seconds`."""

from __future__ import annotations

import ast
import asyncio
import gc
import subprocess
import sys
import weakref
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import (
    Engine,
    create_engine,
    event,
    insert,
    select,
    text,
)
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from lib.kairo_metrics.instruments.catalogue import OWN
from lib.kairo_metrics.integrations.sqlalchemy import observe
from tests.support.books import VISITS, Author, Book, counted, executed, failed
from tests.support.variants import variants


def test_observed_class(tmp_path: Path) -> None:
    """Observing the class `Engine`, or that of asynchronous engines, counts each query of every engine once."""
    code = OBSERVED_CLASS.replace("FOLDER", str(tmp_path))
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout.split() == ["1.0", "2.0", "3.0"]


OBSERVED_CLASS = """
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine
from lib.kairo_metrics.instruments.catalogue import OWN, catalogue
from lib.kairo_metrics.instruments.query_instruments import QueryInstruments
from lib.kairo_metrics.integrations.sqlalchemy import observe
from tests.support.books import VISITS, Author, Book, counted, executed, failed

catalogue(QueryInstruments)
early = create_engine("sqlite:///FOLDER/a.sqlite3")
observe(early)
observe(Engine)
observe(AsyncEngine)
for engine in early, create_engine("sqlite:///FOLDER/b.sqlite3"), early.execution_options(isolation_level="AUTOCOMMIT"):
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    labels = {"model": "raw", "operation": "select"}
    print(OWN.get_sample_value("tenant_db_query_duration_seconds_count", labels))
"""


ERRORS_OF_BOTH = """
from sqlalchemy import Engine, create_engine, text
from lib.kairo_metrics.instruments.catalogue import catalogue
from lib.kairo_metrics.instruments.query_instruments import QueryInstruments
from lib.kairo_metrics.integrations.sqlalchemy import observe
from tests.support.books import failed

catalogue(QueryInstruments)
good = create_engine("sqlite:///FOLDER/a.sqlite3", pool_size=1, max_overflow=0, pool_timeout=0.01)
bad = create_engine("sqlite:///FOLDER/no/such/folder.sqlite3")
for target in TARGETS:
    observe(target)

def attempt(work):
    try:
        work()
    except Exception:
        pass

def work():
    attempt(bad.connect)
    for engine in good, good.execution_options(isolation_level="AUTOCOMMIT"):
        with engine.connect() as connection:
            attempt(lambda: connection.execute(text("SELECT nothing")))
            attempt(good.connect)

print(failed(work))
"""


@pytest.mark.parametrize(
    "targets",
    variants(["[Engine, good, bad]", "[good, bad, Engine]", "[Engine]", "[good, bad]"], ["[good, bad, Engine]"]),
)
def test_errors_of_an_engine_that_is_observed_as_itself_and_by_its_class(targets: str, tmp_path: Path) -> None:
    """Each error counts once: of a query, of a connection, and of a pool, in whatever order they were observed."""
    code = ERRORS_OF_BOTH.replace("FOLDER", str(tmp_path)).replace("TARGETS", targets)
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ast.literal_eval(ran.stdout) == {
        ("raw", "connect", "OperationalError"): 1,
        ("raw", "connect", "TimeoutError"): 2,
        ("raw", "select", "OperationalError"): 2,
    }


def test_query_that_is_given_up(engine: Engine) -> None:
    """A query whose task is cancelled while the database works is counted, and the task stays cancelled."""

    @event.listens_for(engine, "do_execute")
    def give_up(*_: object) -> None:
        raise asyncio.CancelledError

    def work() -> None:
        with engine.connect() as connection, pytest.raises(asyncio.CancelledError):
            connection.execute(select(Author))

    assert counted(work) == {("Author", "select"): 1}


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
    assert failed(work) == {("visits", "select", "OperationalError"): 1}


def test_refused_connection(tmp_path: Path) -> None:
    """A database that can't be opened is an error of `connect`, and no query is counted."""
    engine = create_engine(f"sqlite:///{tmp_path}/no/such/folder.sqlite3")
    observe(engine)

    def work() -> None:
        with pytest.raises(OperationalError):
            engine.connect()

    assert counted(work) == {}
    assert failed(work) == {("raw", "connect", "OperationalError"): 1}


def test_exhausted_pool(tmp_path: Path) -> None:
    """A pool without a free connection is an error of `connect`, and is the program's own."""
    engine = create_engine(f"sqlite:///{tmp_path}/a.sqlite3", pool_size=1, max_overflow=0, pool_timeout=0.01)
    observe(engine)

    def work() -> None:
        with engine.connect(), pytest.raises(PoolTimeout):
            engine.connect()

    assert failed(work) == {("raw", "connect", "TimeoutError"): 1}
    engine.dispose()


def test_forgotten_engine() -> None:
    """An engine that is not used any more can be collected as before."""
    engine = create_engine("sqlite://")
    observe(engine)
    gone = weakref.ref(engine)
    engine.dispose()
    del engine
    gc.collect()
    assert gone() is None


def test_error_while_rows_are_fetched(engine: Engine) -> None:
    """An error that the database gives with a later row counts, and its query counts once."""

    def work() -> None:
        with engine.connect() as connection:
            connection.connection.create_function("fails", 1, lambda number: 1 / (3 - number))
            rows = connection.execute(text("WITH n(i) AS (VALUES (1), (2), (3)) SELECT fails(i) FROM n"))
            with pytest.raises(OperationalError):
                rows.all()

    assert failed(work) == {("raw", "select", "OperationalError"): 1}
    assert counted(work) == {("raw", "select"): 1}


def test_error_of_a_commit(engine: Engine) -> None:
    """A commit that the database refuses counts as an error; BEGIN and COMMIT are no queries."""

    def work() -> None:
        with Session(engine) as session:
            session.execute(text("PRAGMA foreign_keys = ON"))
            session.commit()
            session.execute(text("PRAGMA defer_foreign_keys = ON"))
            session.add(Book(id=1, author_id=404))
            with pytest.raises(IntegrityError):
                session.commit()

    assert failed(work) == {("raw", "other", "IntegrityError"): 1}


def test_wrong_value(engine: Engine) -> None:
    """An error has the class that the program gets, and the query its model."""

    def work() -> None:
        with Session(engine) as session, pytest.raises(IntegrityError):
            session.execute(insert(Author), [{"id": 1}, {"id": 1}])

    assert failed(work) == {("Author", "insert", "IntegrityError"): 1}


def test_observed_twice(engine: Engine) -> None:
    """An engine that several threads observe at once counts each query once."""
    threads = [Thread(target=observe, args=[engine]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert executed(engine, select(Author)) == {("Author", "select"): 1}


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


def test_a_listener_that_only_looks_is_asked_once() -> None:
    """It may be older or younger than ours; the dialect then executes the statement."""
    engine, asked = create_engine("sqlite://", poolclass=StaticPool), []
    event.listen(engine, "do_execute", lambda *_arguments: asked.append("older"))
    observe(engine)
    event.listen(engine, "do_execute", lambda *_arguments: asked.append("younger"))
    assert executed(engine, select(text("1"))) == {("raw", "select"): 1}
    assert asked.count("older") == asked.count("younger") == len(asked) // 2
    asked.clear()
    with engine.connect() as connection:
        connection.execute(text("SELECT :number"), {"number": 7})
    assert asked == ["older", "younger"]
    engine.dispose()


def test_what_an_engine_asks_at_its_first_connection_is_no_query(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL, for one, is asked for its version by each instance that starts."""
    engine = create_engine("sqlite://", poolclass=StaticPool)

    def version(connection: Any) -> tuple[int, ...]:
        connection.exec_driver_sql("SELECT sqlite_version()")
        return (3,)

    monkeypatch.setattr(engine.dialect, "_get_server_version_info", version, raising=False)
    observe(engine)
    assert executed(engine, text("SELECT 1")) == {("raw", "select"): 1}
    engine.dispose()


@pytest.mark.parametrize("is_first", [True, False])
def test_listeners_of_the_program_execute_as_before(is_first: bool) -> None:
    """The first one that executes a statement is the last that is asked; what an earlier one executes is not seen."""
    engine, asked = create_engine("sqlite://"), []

    def look(_cursor: Any, _sql: str, *_more: Any) -> None:
        asked.append("looks")

    def execute(cursor: Any, _sql: str, *_more: Any) -> bool:
        asked.append("executes")
        cursor.execute("SELECT 41 + 1")
        return True

    def never(*_arguments: Any) -> None:
        asked.append("never")

    if is_first:
        observe(engine)
    for listener in (look, execute, never):
        event.listen(engine, "do_execute", listener)
    observe(engine)
    results = []

    def work() -> None:
        with engine.connect() as connection:
            results.append(connection.execute(text("SELECT :number"), {"number": 7}).scalar())

    assert counted(work) == ({("raw", "select"): 1} if is_first else {})
    assert set(results) == {42}
    assert asked == ["looks", "executes"] * len(results)
    engine.dispose()


def test_an_observed_engine_prepares_no_events_of_its_own(engine: Engine) -> None:
    """SQLAlchemy takes a tenth longer for a query of an engine with one listener of `ConnectionEvents`."""
    assert not engine._has_events
    assert engine.dialect._has_events
