"""The values under `prometheus_client`'s instruments: they record deltas of touched series.

`prometheus_client` builds every number of an instrument through `prometheus_client.values.ValueClass`, which is
replaced by `make_value`. A value keeps its local total, so that the program's own registry reads as before, and adds
each change to its series in the recorder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from prometheus_client import values

from ...model.schema import INSTANCE_LABEL, is_per_instance
from ..pending_series import new_series, schema_of
from .counter import CounterValue
from .gauge import gauge_value
from .observation import histogram_value, summary_value
from .value import MAKING, RECORDER, LocalTotal, Value

__all__ = ["RECORDER", "Value", "is_shared", "make_value", "recorded_if"]

_client_value: Any = values.ValueClass


def make_value(  # noqa: PLR0913, PLR0917  the signature is prometheus_client's
    typ: str,
    metric_name: str,
    name: str,
    labelnames: Sequence[str],
    labelvalues: Sequence[str],
    help_text: str,
    multiprocess_mode: str = "",
) -> Any:
    """Make a value in place of `prometheus_client.values.ValueClass`; its own, for an instrument that is not recorded.

    Raises:
        ValueError: the program gives a gauge with a value for each instance the label `instance_id`.
    """
    if not MAKING.recorded:
        labels = labelnames, labelvalues
        return _client_value(typ, metric_name, name, *labels, help_text, multiprocess_mode=multiprocess_mode)
    if typ == "histogram":
        return histogram_value(metric_name, name, labelnames, labelvalues, help_text)
    if typ == "summary":
        return summary_value(metric_name, name, labelnames, labelvalues, help_text)
    if typ == "counter":
        return CounterValue(new_series(schema_of(metric_name, typ, labelnames, help_text), labelnames, labelvalues))
    stored = [*labelnames]
    if is_per_instance(multiprocess_mode):
        if INSTANCE_LABEL in labelnames:
            raise ValueError(f"gauge {metric_name}: {INSTANCE_LABEL} names the instance; give your label another name")
        stored.append(INSTANCE_LABEL)
    schema = schema_of(metric_name, typ, stored, help_text, mode=multiprocess_mode)
    return gauge_value(new_series(schema, labelnames, labelvalues))


@contextmanager
def recorded_if(recorded: bool) -> Iterator[None]:
    """Decide for the instruments that this thread makes in the block whether they are recorded."""
    before, MAKING.recorded = MAKING.recorded, recorded
    try:
        yield
    finally:
        MAKING.recorded = before


def is_shared(value: object) -> bool:
    """Return whether `make_value` made the value."""
    return isinstance(value, LocalTotal)
