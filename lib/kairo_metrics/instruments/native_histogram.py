"""`NativeHistogram`, an instrument that prometheus_client does not have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.context_managers import Timer
from prometheus_client.metrics import Histogram, MetricWrapperBase
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from ..model.native_counts import COARSEST, FINEST, classic_counts
from .values.native_value import NativeValue

__all__ = ["ZERO_THRESHOLD", "NativeHistogram"]

# 2^-128, as Prometheus' own clients have it.
ZERO_THRESHOLD = 2.938735877055719e-39


class NativeHistogram(MetricWrapperBase):
    """A histogram with exponential buckets; a bucket exists once something was observed in it.

    If instances have different resolutions, their sum has the coarsest of them. Scrapers without native histograms,
    and the process's own registry, get a classic histogram with the bounds `buckets`.

    Args:
        name: as in every instrument; so are `documentation`, `labelnames`, `namespace`, `subsystem`, `unit` and
            `registry`.
        schema: from -4 to 8; a bucket is 2^(2^-schema) times as wide as the one before it. With 3 an estimated
            quantile is off by 4.4 % at most.
        zero_threshold: an observation counts as zero up to this absolute value.
        max_buckets: the resolution is made coarser if there are more.
        buckets: the upper bounds of the classic histogram.

    Raises:
        ValueError: an argument is out of its range; the message names it.

    Source: https://prometheus.io/docs/specs/native_histograms/

    Example:
        >>> size = NativeHistogram("upload_bytes", "Bytes of an upload.", schema=3, registry=CollectorRegistry())
        >>> size.observe(1500)
    """

    _type = "histogram"
    _reserved_labelnames = ("le",)

    def __init__(  # noqa: PLR0913  prometheus_client's instruments take that many
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        *,
        schema: int = 3,
        zero_threshold: float = ZERO_THRESHOLD,
        max_buckets: int = 160,
        buckets: Sequence[float | str] = Histogram.DEFAULT_BUCKETS,
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = REGISTRY,
        _labelvalues: Sequence[str] | None = None,
    ) -> None:
        if not COARSEST <= schema <= FINEST:
            raise ValueError(f"schema must be from {COARSEST} to {FINEST}, not {schema}")
        if not 0 <= zero_threshold < float("inf"):
            raise ValueError(f"zero_threshold must be a number from 0 on, not {zero_threshold}")
        if max_buckets < 1:
            raise ValueError(f"max_buckets must be 1 or more, not {max_buckets}")
        bounds = sorted({*map(float, buckets), float("inf")})
        self._native = schema, float(zero_threshold), max_buckets
        self._bounds = tuple(bounds)
        super().__init__(
            name=name,
            documentation=documentation,
            labelnames=labelnames,
            namespace=namespace,
            subsystem=subsystem,
            unit=unit,
            registry=registry,
            _labelvalues=_labelvalues,
        )
        # The arguments of a child.
        self._kwargs.update(schema=schema, zero_threshold=zero_threshold, max_buckets=max_buckets, buckets=bounds[:-1])

    def observe(self, amount: float) -> None:
        """Count one observation."""
        self._raise_if_not_observable()  # type: ignore[no-untyped-call]
        self._value.observe(float(amount))

    def time(self) -> Timer:
        """Observe the seconds that a block of code or a function takes; it is used like `Histogram.time`."""
        return Timer(self, "observe")

    def _metric_init(self) -> None:
        self._value = NativeValue(tuple(map(floatToGoString, self._bounds)), self._native)

    def _child_samples(self) -> Iterable[Sample]:
        counts = self._value.total()
        cumulative = accumulate(classic_counts(counts, self._bounds))
        for bound, count in zip(self._bounds, cumulative, strict=True):
            yield _sample("_bucket", {"le": floatToGoString(bound)}, count)
        yield _sample("_count", {}, counts.count)
        yield _sample("_sum", {}, counts.sum)


def _sample(suffix: str, labels: dict[str, Any], value: float) -> Sample:
    return Sample(suffix, labels, float(value), None, None)
