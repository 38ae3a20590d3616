"""The database: an engine for serverless functions, its tables, and transactions with one kind of error.

This module imports SQLAlchemy, which takes half a second of a cold start: import it when a request needs it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Session

from lib.kairo_metrics import observe

from .database_url import DatabaseUrl
from .errors import DatabaseUnavailable

__all__ = ["Base", "Database"]

# The lock is taken before tables are created, so that of two cold instances one creates them and the other waits.
_CREATION_LOCKS = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "SELECT pg_advisory_xact_lock(20240229)"}


class Base(DeclarativeBase):
    """Base of the mapped classes; its metadata lists the tables, which the first transaction creates."""


class Database:
    """One database, connected at its first use.

    Args:
        url: a `postgres://` or `sqlite:///` URL; by default `DATABASE_URL`, else a file in the temporary folder.
        timeout_s: seconds that a call waits for a connection, a reply or a lock.

    Raises:
        DatabaseUnavailable: the URL is malformed.
    """

    def __init__(self, url: str | None = None, *, timeout_s: float = 5.0) -> None:
        target = DatabaseUrl.parse(url or _configured_url(), timeout_s)
        self._engine = create_engine(
            target.url,
            connect_args=dict(target.connect_args),
            # Many instances share one server: each keeps one connection open, and opens more only under load.
            pool_size=1,
            max_overflow=4,
            pool_timeout=timeout_s,
            # The sockets of a frozen instance are closed when it runs again.
            pool_pre_ping=True,
            pool_recycle=300,
            # An error is logged with its statement, but without the texts of the tenants.
            hide_parameters=True,
        )
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _use_write_ahead_log)
        self._ready = False

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Open a session that commits when the block ends and rolls back when it raises.

        Raises:
            DatabaseUnavailable: the database is unreachable or busy, or lacks what the API needs.
        """
        try:
            if not self._ready:
                _create_tables(self._engine)
                # Observed from here on, because creating the tables is not a query of the application.
                observe(self._engine)
                self._ready = True
            with Session(self._engine, expire_on_commit=False) as session, session.begin():
                yield session
        except (DBAPIError, PoolTimeout, OSError) as err:
            # OSError too: pg8000 raises it for a socket that timed out.
            raise DatabaseUnavailable("The database is unreachable or busy; try again in a few seconds.") from err

    def close(self) -> None:
        """Close the pooled connections."""
        self._engine.dispose()


def _configured_url() -> str:
    default = Path(tempfile.gettempdir(), "kairo-cms.sqlite3")
    return os.environ.get("DATABASE_URL", "").strip() or f"sqlite:///{default}"


def _use_write_ahead_log(connection: Any, _record: object) -> None:
    """Switch SQLite to its write-ahead log, in which a writer does not block readers."""
    # "Locked" means that another instance is switching at this moment; SQLite does not wait for it. The error can be
    # ignored: the mode is stored in the file, so it holds for this connection too.
    with suppress(connection.OperationalError):
        connection.execute("PRAGMA journal_mode=WAL")


def _create_tables(engine: Engine) -> None:
    with engine.begin() as connection:
        if all(map(inspect(connection).has_table, Base.metadata.tables)):
            return
        connection.exec_driver_sql(_CREATION_LOCKS[engine.dialect.name])
        Base.metadata.create_all(connection)
