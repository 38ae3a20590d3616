"""Queries of SQLAlchemy's asynchronous engines, and of PostgreSQL, in `tenant_db_query_duration_seconds`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, delete, func, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, selectinload

from lib.kairo_metrics import observe
from tests.support.books import VISITS, Author, Base, Book, added, counted, failed
from tests.support.postgres_server import LEAVES_SOCKETS, PostgresServer

pytestmark = [LEAVES_SOCKETS, pytest.mark.slow]
Added = Callable[[], dict[tuple[str, ...], float]]
_POSTGRES = pytest.mark.postgres


@pytest.fixture(params=["aiosqlite", *[pytest.param(driver, marks=_POSTGRES) for driver in ("asyncpg", "psycopg")]])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    """An observed asynchronous engine on a database with tables, for each driver."""
    if request.param == "aiosqlite":
        url = f"sqlite+aiosqlite:///{tmp_path}/books.sqlite3"
    else:
        postgres: PostgresServer = request.getfixturevalue("postgres")
        url = postgres.new_database().replace("postgres://", f"postgresql+{request.param}://")
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        await connection.run_sync(VISITS.metadata.create_all)
    # What a driver asks once belongs to its first connection.
    async with engine.connect() as connection:
        await connection.execute(select(1))
    assert observe(observe(engine)) is engine
    yield engine
    await engine.dispose()


def queries() -> AbstractContextManager[Added]:
    """Give a function that returns the queries since, by model and operation."""
    return added("tenant_db_query_duration_seconds_count")


async def test_core(engine: AsyncEngine) -> None:
    """Selects, inserts, deletes and text count as in a synchronous engine."""
    with queries() as seen:
        async with engine.begin() as connection:
            await connection.execute(insert(VISITS), [{"id": number} for number in range(3)])
            await connection.execute(select(func.count()).select_from(VISITS))
            await connection.execute(delete(VISITS))
            await connection.execute(text("SELECT 1"))
    assert seen() == {("visits", "insert"): 1, ("visits", "select"): 1, ("visits", "delete"): 1, ("raw", "select"): 1}


async def test_objects_and_relations(engine: AsyncEngine) -> None:
    """A session's writes, a relation that is loaded later, and one that is loaded with it, have each its class."""
    maker = async_sessionmaker(engine)
    with queries() as seen:
        async with maker.begin() as session:
            session.add(Book(id=1, author_id=1, author=Author(id=1)))
        async with maker() as session:
            [book] = await session.scalars(select(Book))
            await session.run_sync(lambda _: book.author)
        async with maker() as session:
            await session.execute(select(Book).options(selectinload(Book.author)))
    assert {key: value for key, value in seen().items() if key[0] != "raw"} == {
        ("Author", "insert"): 1,
        ("Book", "insert"): 1,
        ("Book", "select"): 2,
        ("Author", "select"): 2,
    }


async def test_streams(engine: AsyncEngine) -> None:
    """Rows that are streamed, also with a cursor in the server, come all, and are one query."""
    async with engine.begin() as connection:
        await connection.execute(insert(VISITS), [{"id": number} for number in range(30)])
    with queries() as seen:
        async with engine.connect() as connection:
            rows = await connection.stream(select(VISITS.c.id).execution_options(yield_per=10))
            assert len([row async for row in rows]) == 30
        async with AsyncSession(engine) as session:
            rows = await session.stream(select(VISITS.c.id))
            await rows.fetchmany(1)
            await rows.close()
    assert seen() == {("visits", "select"): 2}


async def test_savepoint(engine: AsyncEngine) -> None:
    """What is rolled back to a savepoint was a query; BEGIN and COMMIT are none, a savepoint has no model."""
    with queries() as seen:
        async with engine.begin() as connection:
            nested = await connection.begin_nested()
            await connection.execute(insert(VISITS).values(id=1))
            await nested.rollback()
    assert seen() == {("visits", "insert"): 1, ("raw", "other"): 2}


async def test_failures(engine: AsyncEngine) -> None:
    """Errors have the class that the program gets, and their queries a time."""
    with queries() as seen, added("tenant_db_query_errors_total") as errors:
        async with AsyncSession(engine) as session:
            with pytest.raises(IntegrityError):
                await session.execute(insert(Author), [{"id": 1}, {"id": 1}])
        async with engine.connect() as connection:
            with pytest.raises(DBAPIError) as caught:
                await connection.execute(text("SELECT * FROM nowhere"))
    assert errors() == {
        ("Author", "insert", "IntegrityError"): 1,
        ("raw", "select", type(caught.value).__name__): 1,
    }
    assert seen() == {("Author", "insert"): 1, ("raw", "select"): 1}


@_POSTGRES
@pytest.mark.parametrize("engine", ["asyncpg", "psycopg"], indirect=True)  # SQLite's thread can't be interrupted
async def test_time_limit(engine: AsyncEngine) -> None:
    """A query that a time limit of asyncio gives up counts, with the time that was waited."""
    with queries() as seen, added("tenant_db_query_errors_total") as errors, pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), engine.connect() as connection:
            await connection.execute(text("SELECT pg_sleep(20)"))
    assert seen() == {("raw", "select"): 1}
    assert errors() == {("raw", "select", "CancelledError"): 1}


async def test_refused_connection() -> None:
    """A server that can't be reached is an error of `connect`."""
    engine = observe(create_async_engine("postgresql+asyncpg://a:b@127.0.0.1:1/none"))
    with queries() as seen, added("tenant_db_query_errors_total") as errors, pytest.raises(ConnectionRefusedError):
        await engine.connect()
    assert seen() == {}
    assert errors() == {("raw", "connect", "ConnectionRefusedError"): 1}


@_POSTGRES
@pytest.mark.parametrize("driver", ["psycopg", "pg8000"])
def test_synchronous_engines(postgres: PostgresServer, driver: str) -> None:
    """The same in PostgreSQL without asyncio: a transaction, many rows, a cursor in the server, an error."""
    options = {"connect_args": {"ssl_context": None}} if driver == "pg8000" else {}
    engine = create_engine(postgres.new_database().replace("postgres://", f"postgresql+{driver}://"), **options)
    Base.metadata.create_all(engine)
    observe(engine)

    def work() -> None:
        with Session(engine) as session, session.begin():
            session.execute(insert(Author), [{"id": number} for number in range(50)])
            assert len(session.scalars(select(Author).execution_options(yield_per=7)).all()) == 50
        with engine.connect() as connection, pytest.raises(DBAPIError):
            connection.execute(text("SELECT * FROM nowhere"))

    assert counted(work) == {("Author", "insert"): 1, ("Author", "select"): 1, ("raw", "select"): 1}
    engine.dispose()


@_POSTGRES
def test_connection_that_is_replaced(postgres: PostgresServer) -> None:
    """A connection that the pool finds closed and replaces is no error, because the program sees none."""
    url = postgres.new_database()
    engine = create_engine(url.replace("postgres://", "postgresql+psycopg://"), pool_pre_ping=True)
    observe(engine)
    with engine.connect() as connection:
        backend = connection.scalar(text("SELECT pg_backend_pid()"))
    postgres.psql("postgres", f"SELECT pg_terminate_backend({backend})")

    def work() -> None:
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT pg_backend_pid()")) != backend

    assert failed(work) == {}
    engine.dispose()
