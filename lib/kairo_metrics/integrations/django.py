"""Django: how long each query of its databases takes, and which ones fail.

Every statement that a cursor executes is observed in `django_query_duration_seconds`, also a failed one. `alias` is the
database's name in `DATABASES`. `model` is the label of the model (`shop.Order`) whose table stands first in FROM, or is
written to; `raw` where this is the table of no model. `operation` is `select`, `insert`, `update`, `delete` or `other`.
Errors are counted in `django_query_errors_total`; a connection that can't be opened has the operation `connect`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from time import perf_counter
from typing import Any

from django import conf
from django.apps import apps
from django.db import connections
from django.db.backends.signals import connection_created
from django.db.utils import ConnectionHandler

from ..instruments.children import observe as observe_seconds
from ..instruments.query_instruments import DjangoInstruments
from .django_alias import alias_label
from .django_migrations import count_migrations
from .replaced_methods import replace_method
from .sql_table import sql_table
from .sql_verb import CONNECT, OTHER, RAW, sql_verb
from .switch import recorded, while_on

__all__ = ["observe"]


def observe(handler: ConnectionHandler, *, migrations: bool = False) -> None:
    """Observe the queries of every connection, also of those that are made later, in any thread.

    Args:
        handler: `django.db.connections`.
        migrations: whether the migrations of each database are counted as well, after the first request.

    Raises:
        TypeError: it is something else, such as a single connection, which belongs to one thread.
    """
    if handler is not connections:
        raise TypeError(
            f"observe takes django.db.connections, which has every connection, not {type(handler).__name__}"
        )
    while_on(DjangoInstruments, handler, _start_with_migrations if migrations else _start)


def _start(handler: Any) -> None:
    replace_method(handler, "create_connection", _create_connection)
    if conf.settings.configured:  # else there is no connection yet
        # Those of this thread; those of others follow when they connect.
        for connection in handler.all(initialized_only=True):
            _watch(connection)
    connection_created.connect(_connected, dispatch_uid=_connected)


def _start_with_migrations(handler: Any) -> None:
    _start(handler)
    count_migrations()


def _create_connection(create: Callable[..., Any], handler: Any, *arguments: Any, **named: Any) -> Any:
    connection = create(handler, *arguments, **named)
    _watch(connection)
    return connection


def _connected(*, connection: Any, **_: Any) -> None:
    _watch(connection)


def _watch(connection: Any) -> None:
    if _execute not in connection.execute_wrappers:
        # In the first place: the end of a `with connection.execute_wrapper(...)` takes away the last one.
        connection.execute_wrappers.insert(0, _execute)
    replace_method(connection, "connect", _connect)


def _connect(connect: Callable[..., Any], connection: Any) -> None:
    try:
        connect(connection)
    except Exception as err:
        instruments = recorded(DjangoInstruments)
        if instruments is not None:
            # What the program gets is the class of Django with the same name as the driver's (PEP 249).
            instruments.query_errors.labels(alias_label(connection.alias), RAW, CONNECT, type(err).__name__).inc()
        raise


def _execute(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
    instruments = recorded(DjangoInstruments)
    if instruments is None or sql == "BEGIN":  # SQLite's; other databases begin without a cursor
        return execute(sql, params, many, context)
    started_s = perf_counter()
    error: BaseException | None = None
    try:
        return execute(sql, params, many, context)
    except BaseException as err:
        error = err
        raise
    finally:
        seconds = perf_counter() - started_s
        connection = context["connection"]
        labels = (alias_label(connection.alias), *_labels(sql if isinstance(sql, str) else _text(sql, connection)))
        observe_seconds(instruments.query_duration, labels, seconds)
        if error is not None:
            instruments.query_errors.labels(*labels, type(error).__name__).inc()


def _text(sql: Any, connection: Any) -> str:
    """Return the text of an object for SQL, as psycopg has it."""
    try:
        text: str = sql.as_string(connection.connection)
    except Exception:  # noqa: BLE001  it belongs to the driver, and its query must not fail because of us
        return ""
    return text


def _labels(sql: str) -> tuple[str, str]:
    """Return the model and the operation of a query."""
    operation = sql_verb(sql)
    table = None if operation == OTHER else sql_table(sql)
    # While the apps are loaded there are no models yet.
    model = _models().get(table.casefold()) if table is not None and apps.ready else None
    return model or RAW, operation


@cache
def _models() -> dict[str, str]:
    """Return the label of the model of each table; of several models always the same one."""
    described = [model._meta for model in apps.get_models(include_auto_created=True)]  # noqa: SLF001  it is documented
    described.sort(key=lambda meta: (meta.managed, meta.label))
    return {_bare(meta.db_table).casefold(): meta.label for meta in described if not meta.proxy}


def _bare(db_table: str) -> str:
    """Return a table's name without its schema, which Django's users write as `schema"."table`."""
    return sql_table(f'UPDATE "{db_table}"') or db_table
