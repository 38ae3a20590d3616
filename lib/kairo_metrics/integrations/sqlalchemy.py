"""SQLAlchemy: how long each query takes, by model and operation, and which ones fail.

Every statement that a cursor executes is observed in `tenant_db_query_duration_seconds`, also a failed one:

| statement                      | `model`                                | `operation`                              |
|--------------------------------|----------------------------------------|------------------------------------------|
| of the ORM                     | the class that is selected or written  | `select`, `insert`, `update` or `delete` |
| on a mapped table              | the mapped class                       | the same                                 |
| on another table               | the table                              | the same                                 |
| on a join                      | the first table of FROM, not a joined  | `select`                                 |
| on a subquery, CTE or union    | the first table that this selects from | `select`                                 |
| textual SQL, or without tables | `raw`                                  | by its verb, else `other`                |
| DDL, `PRAGMA`, `SET`, ...      | `raw`                                  | `other`                                  |

What stands in WHERE does not count, nor what only a CTE or a subquery beside FROM reads. What stands among the columns
counts if there is no FROM: `SELECT EXISTS (SELECT ... FROM books)`.

SQLAlchemy sends `BEGIN`, `COMMIT` and `ROLLBACK` without a cursor, so they are not observed, nor is a statement that
another listener of `do_execute` executes in the dialect's place, if it was there before.
The time is that of the execution; the time to fetch rows later is not in it.

Every error of the database is counted in `tenant_db_query_errors_total`, with the class that the program gets as
`type`: of a query, of rows that are fetched later, and of `COMMIT` and the like (`raw`, `other`). Where no connection
could be had, from the server or from the pool, the operation is `connect`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import dropwhile
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ..instruments.children import observe as observe_seconds
from ..instruments.query_instruments import QueryInstruments
from .query_labels import query_labels
from .replaced_methods import replace_method
from .sql_verb import CONNECT, OTHER, RAW
from .switch import recorded, while_on

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["observe"]


def observe(engine: Engine | AsyncEngine | type[Engine | AsyncEngine]) -> None:
    """Observe the queries of an engine, or of an asynchronous one; the class stands for every engine of the program.

    Engines that `execution_options` has made share their dialect with the engine that they are made of. So with one of
    them all are observed.

    Raises:
        TypeError: it is no engine.

    Example:
        >>> from sqlalchemy import create_engine
        >>> observe(create_engine("sqlite:///cms.sqlite3"))
    """
    from sqlalchemy import Engine

    target: Any = engine
    if not isinstance(engine, type):
        target = getattr(engine, "sync_engine", engine)
    elif hasattr(engine, "sync_engine"):
        target = Engine  # every asynchronous engine has one of these
    if not (isinstance(target, Engine) or (isinstance(target, type) and issubclass(target, Engine))):
        raise TypeError(f"observe takes an engine, not {getattr(engine, '__name__', type(engine).__name__)}")
    while_on(QueryInstruments, target, _start)


def _start(engine: Any) -> None:
    from sqlalchemy import event

    # SQLAlchemy registers a function on an engine once. These are events of its dialect: with one of the engine itself,
    # such as "before_cursor_execute", SQLAlchemy prepares all of them for each statement and transaction.
    for name, execute in _EXECUTIONS.items():
        event.listen(engine, name, execute)
    of_class = isinstance(engine, type)
    event.listen(engine, "handle_error", _fail if of_class else _fail_of_one)
    replace_method(engine, "raw_connection", _raw_connection if of_class else _raw_connection_of_one)


def _timed(name: str) -> Callable[..., bool]:
    """Return the listener that executes a statement in the place of the dialect's method of this name."""

    def execute(cursor: Any, sql: str, *more: Any) -> bool:
        execution = more[-1]
        # The first connection of an engine asks for its version and the like: no query of the program.
        if not getattr(execution.root_connection, "_allow_autobegin", True):
            return False
        execution.kairo_started_at = perf_counter()
        dialect = execution.dialect
        # A listener that returns True has executed the statement, and SQLAlchemy asks none of those after it.
        listeners = dropwhile(lambda listener: listener is not execute, getattr(dialect.dispatch, name))
        if not any(listener(cursor, sql, *more) for listener in listeners if listener is not execute):
            getattr(dialect, name)(cursor, sql, *more)
        instruments = recorded(QueryInstruments)
        if instruments is not None:
            _end(instruments, execution, query_labels(execution.compiled, sql))
        return True

    return execute


_EXECUTIONS = {name: _timed(name) for name in ("do_execute", "do_executemany", "do_execute_no_params")}


def _has_observed_class(engine: Any) -> bool:
    """Tell whether the engine's class is observed, too; then the class counts its errors."""
    from sqlalchemy import Engine, event

    kinds = [kind for kind in type(engine).__mro__ if issubclass(kind, Engine)]
    return any(event.contains(kind, "handle_error", _fail) for kind in kinds)


def _fail_of_one(error: Any) -> None:
    if not _has_observed_class(error.engine):
        _fail(error)


def _fail(error: Any) -> None:
    instruments = recorded(QueryInstruments)
    # A pool that finds a connection of its own closed opens another one, and the program sees no error.
    if instruments is None or getattr(error, "is_pre_ping", False):  # since SQLAlchemy 2.0.5
        return
    execution = error.execution_context
    if execution is not None:
        labels = query_labels(execution.compiled, error.statement or "")
        _end(instruments, execution, labels)
    else:
        labels = RAW, OTHER if error.connection is not None else CONNECT
    seen = error.sqlalchemy_exception or error.original_exception
    instruments.query_errors.labels(*labels, type(seen).__name__).inc()


def _raw_connection_of_one(connect: Callable[..., Any], engine: Any) -> Any:
    try:
        return connect(engine)
    except Exception as err:
        if not _has_observed_class(engine):
            _fail_to_connect(engine, err)
        raise


def _raw_connection(connect: Callable[..., Any], engine: Any) -> Any:
    try:
        return connect(engine)
    except Exception as err:
        _fail_to_connect(engine, err)
        raise


def _fail_to_connect(engine: Any, error: Exception) -> None:
    """Count what SQLAlchemy has no event for: an error that is not of the driver's own class, and an exhausted pool."""
    instruments = recorded(QueryInstruments)
    if instruments is not None and not isinstance(error, engine.dialect.loaded_dbapi.Error):
        instruments.query_errors.labels(RAW, CONNECT, type(error).__name__).inc()


def _end(instruments: QueryInstruments, execution: Any, labels: tuple[str, str]) -> None:
    # Removed, because an error may still follow when the rows of this query are fetched.
    started_at = vars(execution).pop("kairo_started_at", None)
    if started_at is not None:
        observe_seconds(instruments.query_duration, labels, perf_counter() - started_at)
