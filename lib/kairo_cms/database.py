"""The database: an engine that suits functions, its tables, and transactions whose failures have one name.

Importing this module imports SQLAlchemy, half a second of a cold start: import it when a request needs it.
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

from lib.kairo_metrics.integrations.sqlalchemy import observe

from .database_url import DatabaseUrl
from .errors import DatabaseUnavailable

__all__ = ["Base", "Database"]

# Taken before tables are created, so that of two cold instances one creates them and the other finds them.
_CREATION_LOCKS = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "SELECT pg_advisory_xact_lock(20240229)"}


class Base(DeclarativeBase):
    """Base of the mapped classes; its metadata lists the tables that the first transaction creates."""


class Database:
    """One database, connected when first used.

    Args:
        url: a `postgres://` or `sqlite:///` URL; by default `DATABASE_URL`, else a file in the temporary folder.
        timeout_s: seconds that a call waits for a connection, an answer or a lock.

    Raises:
        DatabaseUnavailable: the URL is malformed.
    """

    def __init__(self, url: str | None = None, *, timeout_s: float = 5.0) -> None:
        target = DatabaseUrl.parse(url or _configured_url(), timeout_s)
        self._engine = create_engine(
            target.url,
            connect_args=dict(target.connect_args),
            # Many instances share one server: each keeps one connection, and opens more only under load.
            pool_size=1,
            max_overflow=4,
            pool_timeout=timeout_s,
            # A frozen instance wakes up with dead sockets.
            pool_pre_ping=True,
            pool_recycle=300,
            # An error is logged with its statement; the tenants' texts stay out of the log.
            hide_parameters=True,
        )
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _let_readers_pass)
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
                # Only now: what set the tables up is no query of the application.
                observe(self._engine)
                self._ready = True
            with Session(self._engine, expire_on_commit=False) as session, session.begin():
                yield session
        except (DBAPIError, PoolTimeout, OSError) as err:
            # OSError too: pg8000 lets a timed-out socket through as it is.
            raise DatabaseUnavailable("The database is unreachable or busy; try again in a few seconds.") from err

    def close(self) -> None:
        """Close the pooled connections."""
        self._engine.dispose()


def _configured_url() -> str:
    default = Path(tempfile.gettempdir(), "kairo-cms.sqlite3")
    return os.environ.get("DATABASE_URL", "").strip() or f"sqlite:///{default}"


def _let_readers_pass(connection: Any, _record: object) -> None:
    """Switch SQLite to its write-ahead log, in which a writer does not block readers."""
    # "Locked" means that another instance is switching right now, which SQLite does not wait for. That serves
    # us as well: the mode belongs to the file, and every transaction looks it up.
    with suppress(connection.OperationalError):
        connection.execute("PRAGMA journal_mode=WAL")


def _create_tables(engine: Engine) -> None:
    with engine.begin() as connection:
        if all(map(inspect(connection).has_table, Base.metadata.tables)):
            return
        connection.exec_driver_sql(_CREATION_LOCKS[engine.dialect.name])
        Base.metadata.create_all(connection)
