"""SQLAlchemy: how long each query takes, by model and operation.

While metrics are on, every statement that a cursor executes is observed in `tenant_db_query_duration_seconds`, also a
failed one:

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

SQLAlchemy sends `BEGIN`, `COMMIT` and `ROLLBACK` without a cursor, so they are not observed.
The time is that of the execution; the time to fetch rows later is not in it.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from ..delivery.pipeline import current_settings, is_open
from ..instruments.catalogue import built, catalogue
from ..instruments.declarations import QueryInstruments
from ..model.fork_lock import fork_lock
from .query_labels import query_labels

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["observe"]

_listening = fork_lock()


def observe(engine: Engine | AsyncEngine | type[Engine | AsyncEngine]) -> None:
    """Observe the queries of an engine from now on, while metrics are on; a second call changes nothing.

    Args:
        engine: an engine, or an asynchronous one; the class `Engine` stands for every engine of the program.

    Raises:
        TypeError: `engine` is no engine.

    Example:
        >>> from sqlalchemy import create_engine
        >>> observe(create_engine("sqlite:///cms.sqlite3"))
    """
    from sqlalchemy import Engine, event

    target: Any = engine
    if not isinstance(engine, type):
        target = getattr(engine, "sync_engine", engine)
    elif hasattr(engine, "sync_engine"):
        target = Engine  # every asynchronous engine has one of these
    if not (isinstance(target, Engine) or (isinstance(target, type) and issubclass(target, Engine))):
        raise TypeError(f"observe takes an engine, not {getattr(engine, '__name__', type(engine).__name__)}")
    # SQLAlchemy registers a function on an engine once, but not if two threads do it at the same time.
    with _listening:
        event.listen(target, "before_cursor_execute", _start)
        event.listen(target, "after_cursor_execute", _succeed)
        event.listen(target, "handle_error", _fail)
    if current_settings()[0].enabled:
        catalogue(QueryInstruments)  # queries before the first call of `instrument` are counted, too


def _start(_connection: Any, _cursor: Any, _sql: str, _parameters: Any, execution: Any, _many: bool) -> None:
    execution.kairo_started_at = perf_counter()


def _succeed(_connection: Any, _cursor: Any, sql: str, _parameters: Any, execution: Any, _many: bool) -> None:
    _finish(execution, sql)


def _fail(error: Any) -> None:
    # A refused connection is an error, too, and has no query.
    if error.execution_context is not None:
        _finish(error.execution_context, error.statement or "")


def _finish(execution: Any, sql: str) -> None:
    # Removed, because an error may still follow when the rows of this query are fetched.
    started_at = vars(execution).pop("kairo_started_at", None)
    instruments = catalogue(QueryInstruments) if is_open() else built(QueryInstruments)
    if started_at is not None and instruments is not None:
        duration_s = perf_counter() - started_at
        model, operation = query_labels(execution.compiled, sql)
        instruments.query_duration.labels(model, operation).observe(duration_s)
