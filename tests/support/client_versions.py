"""What only younger versions of prometheus_client have; `make matrix` runs tests with older ones."""

from __future__ import annotations

from inspect import signature

import pytest
from prometheus_client import Counter, generate_latest, values
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.openmetrics import exposition

__all__ = [
    "has_remove_by_labels",
    "has_utf_8_names",
    "needs_closed_files",
    "needs_escaping",
    "needs_utf_8_names",
    "removes_unknown_labels",
]


def _removes_unknown_labels() -> bool:
    try:
        Counter("unknown", "Unknown.", ["label"], registry=None).remove("never")
    except KeyError:
        return False
    return True


# Whether `remove` of labels that this process does not have is no error: since 0.22.
removes_unknown_labels = _removes_unknown_labels()
# Since 0.24.
has_remove_by_labels = hasattr(MetricWrapperBase, "remove_by_labels")
has_utf_8_names = hasattr(exposition, "escape_metric_name")
needs_utf_8_names = pytest.mark.skipif(
    not has_utf_8_names, reason="prometheus_client has classic names only until 0.22"
)
needs_escaping = pytest.mark.skipif(
    "escaping" not in signature(generate_latest).parameters, reason="prometheus_client has no schemes until 0.23"
)
needs_closed_files = pytest.mark.skipif(
    not hasattr(values, "close_all_multiprocess_files"),
    reason="prometheus_client can't close the files of its multiprocess mode until 0.26",
)
