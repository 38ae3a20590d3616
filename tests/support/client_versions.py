"""What only younger versions of prometheus_client have; `make matrix` runs tests with older ones."""

from __future__ import annotations

import pytest
from prometheus_client import values
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.openmetrics import exposition

__all__ = ["has_remove_by_labels", "needs_closed_files", "needs_utf_8_names"]

# Since 0.24.
has_remove_by_labels = hasattr(MetricWrapperBase, "remove_by_labels")
needs_utf_8_names = pytest.mark.skipif(
    not hasattr(exposition, "escape_metric_name"), reason="prometheus_client has classic names only until 0.22"
)
needs_closed_files = pytest.mark.skipif(
    not hasattr(values, "close_all_multiprocess_files"),
    reason="prometheus_client can't close the files of its multiprocess mode until 0.26",
)
