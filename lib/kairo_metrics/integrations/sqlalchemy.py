"""SQLAlchemy: how long each query takes, by model and operation.

While metrics are on, every statement that a cursor executes is observed in `tenant_db_query_duration_seconds`, also a
failed one:

| statement                                | `model`               | `operation`                              |
|------------------------------------------|-----------------------|------------------------------------------|
| on a mapped table                        | the mapped class      | `select`, `insert`, `update` or `delete` |
| on another table                         | the table             | the same                                 |
| on a join                                | the first table named | the same                                 |
| textual SQL, or one that names no table  | `raw`                 | by its first word, else `other`          |
| DDL, `PRAGMA`, `SET`, ...                | `raw`                 | `other`                                  |

SQLAlchemy sends `BEGIN`, `COMMIT` and `ROLLBACK` without a cursor, so they are not observed.
The time is that of the execution; the time to fetch rows later is not in it.
"""

from __future__ import annotations

import re
from time import perf_counter
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from ..delivery.pipeline import current_settings, is_open
from ..instruments.catalogue import QueryInstruments, built, catalogue
from ..model.fork_lock import fork_lock

if TYPE_CHECKING:
    from sqlalchemy import Engine, Table
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["observe"]

# A program may create tables as it runs, for example one per customer; their series must not be without a limit.
_MAX_MODELS = 200
_OVERFLOW = "__overflow__"
_RAW = "raw"
_OTHER = "other"
_FIRST_WORD = re.compile(r"[\s(]*(select|insert|update|delete)\b", re.IGNORECASE)

# SQLAlchemy caches compiled statements, so the labels of each are worked out once.
_labels_of: WeakKeyDictionary[Any, tuple[str, str]] = WeakKeyDictionary()
_models: set[str] = set()
_listening = fork_lock()


def observe(engine: Engine | AsyncEngine) -> None:
    """Observe the queries of an engine from now on, while metrics are on; a second call changes nothing.

    Args:
        engine: an engine, or an asynchronous one.

    Raises:
        TypeError: `engine` is no engine.

    Example:
        >>> from sqlalchemy import create_engine
        >>> observe(create_engine("sqlite:///cms.sqlite3"))
    """
    from sqlalchemy import Engine, event

    target = getattr(engine, "sync_engine", engine)
    if not isinstance(target, Engine):
        raise TypeError(f"observe takes an engine, not {type(engine).__name__}")
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
        model, operation = _labels(execution.compiled, sql)
        instruments.query_duration.labels(model, operation).observe(duration_s)


def _labels(compiled: Any, sql: str) -> tuple[str, str]:
    if compiled is None:
        return _RAW, _first_word(sql)
    labels = _labels_of.get(compiled)
    if labels is None:
        labels = _labels_of[compiled] = _describe(compiled.statement, sql)
    return labels


def _describe(statement: Any, sql: str) -> tuple[str, str]:
    from sqlalchemy import Delete, Insert, SelectBase, Table, Update
    from sqlalchemy.sql import visitors

    # By class and not by text first: the text of a construct may begin with WITH or a bracket.
    kinds = {SelectBase: "select", Insert: "insert", Update: "update", Delete: "delete"}
    operation = next((name for kind, name in kinds.items() if isinstance(statement, kind)), None) or _first_word(sql)
    if operation == _OTHER:
        return _RAW, _OTHER
    table = next((element for element in visitors.iterate(statement) if isinstance(element, Table)), None)
    if table is None:
        return _RAW, operation
    return _bounded(_class_name(table) or table.name), operation


def _first_word(sql: str) -> str:
    match = _FIRST_WORD.match(sql)
    return match[1].lower() if match else _OTHER


def _class_name(table: Table) -> str | None:
    # The registries know the class of a table; SQLAlchemy has no public list of them.
    from sqlalchemy.orm.mapper import _all_registries

    for registry in _all_registries():
        for mapper in registry.mappers:
            # "==": an ORM statement has an annotated copy, which is equal to its table. Subclasses without a table
            # ("single") share the table of their parent, and are counted under its name.
            if mapper.local_table == table and not mapper.single:
                return mapper.class_.__name__
    return None


def _bounded(model: str) -> str:
    if model not in _models and len(_models) >= _MAX_MODELS:
        return _OVERFLOW
    _models.add(model)
    return model
