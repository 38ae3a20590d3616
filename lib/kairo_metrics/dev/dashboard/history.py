"""The built-in history: the samples of the last minutes, in memory, with the semantics of Prometheus."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["NAME", "History", "Labels", "Series", "labels_of"]

# A label set as sorted pairs, so that it can be a key; it includes the metric's name, as in Prometheus.
Labels = tuple[tuple[str, str], ...]
NAME = "__name__"

_MAX_SERIES = 20_000


def labels_of(pairs: Mapping[str, str]) -> Labels:
    """Return a label set in its canonical form: sorted, without labels whose value is empty.

    Example:
        >>> labels_of({"route": "/", "method": "GET", "status": ""})
        (('method', 'GET'), ('route', '/'))
    """
    return tuple(sorted((name, value) for name, value in pairs.items() if value))


@dataclass(slots=True)
class Series:
    """The samples of one series, sorted by time; the value None marks the end of the series.

    Args:
        labels: its label set.
        times: the time of each sample, in ms since 1970.
        values: the value of each sample.
    """

    labels: Labels
    times: list[int] = field(default_factory=list)
    values: list[float | None] = field(default_factory=list)

    def append(self, at_ms: int, value: float | None) -> None:
        """Add a sample at the end."""
        # The value first: another thread that sees the time then also finds the value.
        self.values.append(value)
        self.times.append(at_ms)

    def between(self, start_ms: int, end_ms: int) -> Series:
        """Return a copy with the samples from `start_ms` to `end_ms`, both included."""
        low, high = bisect_left(self.times, start_ms), bisect_right(self.times, end_ms)
        return Series(self.labels, self.times[low:high], self.values[low:high])


class History:
    """Keeps samples for a limited time; one thread may add while others read, and none ever waits.

    Args:
        keep_ms: how long a sample is kept, in ms.
        max_series: the most series; further ones are refused, and counted in `refused`.

    Example:
        >>> history = History(keep_ms=60_000)
        >>> history.add(1_000, {(("__name__", "up"),): 1.0})
        >>> [series.values for series in history.select("up", lambda labels: True, 0, 2_000)]
        [[1.0]]
    """

    def __init__(self, keep_ms: int, max_series: int = _MAX_SERIES) -> None:
        self._keep_ms = keep_ms
        self._max_series = max_series
        self._series: dict[Labels, Series] = {}
        self._by_name: dict[str, dict[Labels, Series]] = {}
        self._latest: Collection[Labels] = ()
        self._at_ms: int | None = None
        self._bounds_ms: tuple[int, int] | None = None
        self.refused = 0

    def add(self, at_ms: int, samples: Mapping[Labels, float], counters: Collection[Labels] = ()) -> None:
        """Add the samples of one scrape, and end the series that the scrape before had and this one has not.

        Args:
            at_ms: the time of the samples, in ms since 1970, later than that of any scrape before.
            samples: a value for each series.
            counters: the series that begin at zero: a new one gets a sample of 0 at the time of the scrape before,
                so that its first increments are seen.
        """
        before_ms, self._at_ms = self._at_ms, at_ms
        for labels in self._latest:
            if labels not in samples and (ended := self._series.get(labels)):
                ended.append(at_ms, None)
        self.refused = 0
        for labels, value in samples.items():
            if series := self._find_or_add(labels):
                if before_ms is not None and labels in counters and not series.times:
                    series.append(before_ms, 0.0)
                # An unchanged value is stored as the same object, which takes no further memory.
                same = bool(series.values) and series.values[-1] == value
                series.append(at_ms, series.values[-1] if same else value)
        self._latest = samples.keys()
        self._remove_before(at_ms - self._keep_ms)
        self._bounds_ms = self._oldest_and_newest_ms()

    def select(
        self, name: str | None, matches: Callable[[Labels], bool], start_ms: int, end_ms: int
    ) -> Iterator[Series]:
        """Yield copies of the series that match and have samples from `start_ms` to `end_ms`.

        Args:
            name: the metric's name; None searches all metrics.
            matches: returns whether a label set matches.
            start_ms: the start of the time range, in ms since 1970.
            end_ms: its end.
        """
        named = self._series if name is None else self._by_name.get(name, {})
        for series in list(named.values()):
            if matches(series.labels) and (found := series.between(start_ms, end_ms)).times:
                yield found

    def bounds_ms(self) -> tuple[int, int] | None:
        """Return the times of the oldest and the newest sample, or None if there is no sample."""
        return self._bounds_ms

    def _oldest_and_newest_ms(self) -> tuple[int, int] | None:
        kept = [series for series in self._series.values() if series.times]
        return (min(one.times[0] for one in kept), max(one.times[-1] for one in kept)) if kept else None

    def _find_or_add(self, labels: Labels) -> Series | None:
        series = self._series.get(labels)
        if series is None:
            if len(self._series) >= self._max_series:
                self.refused += 1
                return None
            series = self._series[labels] = Series(labels)
            self._by_name.setdefault(dict(labels).get(NAME, ""), {})[labels] = series
        return series

    def _remove_before(self, before_ms: int) -> None:
        for labels, series in list(self._series.items()):
            old = bisect_left(series.times, before_ms)
            name = dict(labels).get(NAME, "")
            if old == len(series.times):
                del self._series[labels]
                del self._by_name[name][labels]
            elif old:
                # A new object: a query may be reading the one before.
                kept = Series(labels, series.times[old:], series.values[old:])
                self._series[labels] = self._by_name[name][labels] = kept
