"""Queries of SQLAlchemy in `tenant_db_query_duration_seconds`."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from sqlalchemy import (
    Engine,
    create_engine,
    event,
    insert,
    literal,
    select,
    text,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from lib.kairo_metrics.instruments.catalogue import OWN
from lib.kairo_metrics.integrations.sqlalchemy import observe
from tests.support.books import VISITS, Author, counted, executed

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine  # at run time it would need greenlet


def test_observed_class(tmp_path: Path) -> None:
    """Observing the class `Engine`, or that of asynchronous engines, counts each query of every engine once."""
    code = OBSERVED_CLASS.replace("FOLDER", str(tmp_path))
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout.split() == ["1.0", "2.0", "3.0"]


OBSERVED_CLASS = """
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine
from lib.kairo_metrics.instruments.catalogue import OWN, catalogue
from lib.kairo_metrics.instruments.declarations import QueryInstruments
from lib.kairo_metrics.integrations.sqlalchemy import observe
from tests.support.books import VISITS, Author, counted, executed

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
