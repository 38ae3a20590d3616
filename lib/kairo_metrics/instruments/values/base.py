"""What all values have in common: where they record, their series, and a total of this process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Protocol

from prometheus_client.samples import Exemplar

from ...model.encoding import label_text
from ...model.schema import INSTANCE_LABEL, Schema
from ..pending_series import INSTANCE_PLACE, PendingSeries
from ..recorder import Recorder

__all__ = ["RECORDER", "Local", "Plain", "Value", "schema_of", "series_of"]

# prometheus_client's instruments are the process's own, and so is the place they record into.
RECORDER = Recorder()

_schemas: dict[tuple[Any, ...], Schema] = {}


class Value(Protocol):
    """What all instruments of prometheus_client call."""

    def get(self) -> float:
        """Return what this process has added up, or set last."""


class Local:
    """What all values have: a total of this process, and the last exemplar that was given to it."""

    __slots__ = ("_exemplar", "_total")

    def __init__(self) -> None:
        self._total = 0.0
        self._exemplar: Exemplar | None = None

    def get(self) -> float:
        return self._total

    def get_exemplar(self) -> Exemplar | None:
        return self._exemplar


class Plain(Local):
    """A value with a series of its own; `process` is the one that has counted into it."""

    __slots__ = ("process", "series")

    def __init__(self, series: PendingSeries) -> None:
        super().__init__()
        self.series = series
        self.process = os.getpid()

    def start_anew_after_fork(self) -> None:
        """Leave to the parent what the parent holds."""
        if self.process != os.getpid():
            self.process, self._total = os.getpid(), 0.0


def schema_of(  # noqa: PLR0913  a schema has that many parts
    name: str,
    typ: str,
    labelnames: Sequence[str],
    help_text: str,
    *,
    bounds: tuple[str, ...] = (),
    mode: str = "",
    states: tuple[str, ...] = (),
) -> Schema:
    """Return the one `Schema` object of this identity, so that a child costs no digest."""
    key = (name, typ, tuple(labelnames), bounds, mode, states, help_text)
    schema = _schemas.get(key)
    if schema is None:
        schema = Schema(name, typ, tuple(sorted(labelnames)), bounds, mode, states, help=help_text)
        _schemas[key] = schema
    return schema


def series_of(schema: Schema, labelnames: Sequence[str], labelvalues: Sequence[str]) -> PendingSeries:
    """Return a new series for these labels; the instance's id is put in when it is sent."""
    labels = dict(zip(labelnames, labelvalues, strict=True))
    text = label_text(schema.labelnames, [labels.get(name, "") for name in schema.labelnames])
    if schema.per_instance:
        text = text.replace(f'{INSTANCE_LABEL}=""', f'{INSTANCE_LABEL}="{INSTANCE_PLACE}"')
    return PendingSeries(schema, text)
