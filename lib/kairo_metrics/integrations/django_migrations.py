"""Django's migrations: how many each database has, and how many it lacks for this code.

They are counted at the end of an instance's first request, and not at its start: a database that is away must not
keep a function from starting, nor `manage.py` from running. Where some are missing, they are counted again with later
requests, so that the page tells when they are applied. It shows the value that any of the instances has set last.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import Any

from django.core.signals import request_finished
from django.db import Error as DatabaseError
from django.db import connections

from ..instruments.query_instruments import DjangoInstruments
from .django_alias import alias_label
from .sql_verb import OTHER, RAW
from .switch import recorded

__all__ = ["MigrationCount", "count_migrations"]

_log = logging.getLogger("kairo_metrics")
_AGAIN_AFTER_S = 60.0


class MigrationCount:
    """Counts the migrations of each database, until one has all of them.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._due_s: dict[str, float] = {}
        self._counting = Lock()

    def __call__(self, **_signal: Any) -> None:
        """Count those of each database where it is time to; another thread that does so is not waited for."""
        instruments = recorded(DjangoInstruments)
        if instruments is None or not self._counting.acquire(blocking=False):
            return
        try:
            for alias in connections:
                if self._clock() >= self._due_s.get(alias, 0.0):
                    self._count_one(instruments, connections[alias])
        finally:
            self._counting.release()

    def _count_one(self, instruments: DjangoInstruments, connection: Any) -> None:
        if connection.vendor == "unknown" or connection.in_atomic_block:
            return  # there is no database, or a test holds a transaction open around the request
        was_open = connection.connection is not None
        alias = connection.alias
        self._due_s[alias] = self._clock() + _AGAIN_AFTER_S
        try:
            applied, unapplied = _counts(connection)
        except Exception as err:  # noqa: BLE001  the request has its answer, and must not fail because of us
            _log.warning("the migrations of the database %r are not counted: %s", alias, err)
            if not isinstance(err, DatabaseError):  # those are counted where they happen
                instruments.query_errors.labels(alias_label(alias), RAW, OTHER, type(err).__name__).inc()
        else:
            instruments.migrations_applied.labels(alias_label(alias)).set(applied)
            instruments.migrations_unapplied.labels(alias_label(alias)).set(unapplied)
            if not unapplied:
                self._due_s[alias] = float("inf")
        finally:
            if not was_open:
                connection.close()  # Django has closed its connections at this point


def _counts(connection: Any) -> tuple[int, int]:
    # Imported here: it loads every migration of the project.
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return len(executor.loader.applied_migrations), len(plan)


_COUNT = MigrationCount()


def count_migrations() -> None:
    """Count the migrations from now on; a second call changes nothing."""
    request_finished.connect(_COUNT, dispatch_uid=_COUNT)
