"""The numbers at which alerts fire, each named once: rules, panels and runbooks take them from here."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

__all__ = ["Thresholds"]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When something is wrong. Shares are between 0 and 1.

    Args:
        error_share: HighErrorRate: more of the requests fail.
        latency_s: HighLatency: the p95 of a route is longer, in seconds.
        query_s: SlowQueries: the p95 of a model's queries is longer, in seconds.
        slow_query_s: panels count a longer query as slow; a bound of the histogram's buckets, in seconds.
        objective: the error budget: this share of the requests of 30 days succeeds.
        budget_errors: ErrorBudgetBurns…: fewer errors than this are no alert.
        reply_share: RepliesLost: more of the batches are sent twice.
        series_share: SeriesNearLimit: a metric has more of the series that it may have.
        memory_share: StoreMemoryNearLimit: Redis uses more of its memory.
        clock_skew_s: ClockSkew: the clocks are further apart, in seconds.
        scrape_s: SlowScrape: the page takes longer, in seconds; half of the `scrape_timeout`.

    Example:
        >>> Thresholds().changed("latency_s", "0.5").latency_s
        0.5
    """

    error_share: float = 0.05
    latency_s: float = 1
    query_s: float = 1
    slow_query_s: float = 0.2
    objective: float = 0.999
    budget_errors: float = 10
    reply_share: float = 0.05
    series_share: float = 0.8
    memory_share: float = 0.85
    clock_skew_s: float = 5
    scrape_s: float = 5

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of all thresholds."""
        return tuple(field.name for field in fields(cls))

    def changed(self, name: str, text: str) -> Thresholds:
        """Return these thresholds with another value for one of them.

        Raises:
            ValueError: there is no such threshold, or the text is no number that it can have.
        """
        if name not in self.names():
            raise ValueError(f"there is no threshold {name}; these are: {', '.join(self.names())}")
        try:
            value = float(text)
        except ValueError:
            value = -1
        if name.endswith("_share") or name == "objective":
            if not 0 < value < 1:
                raise ValueError(
                    f"{name} must be a number between 0 and 1, such as {getattr(self, name):g}, not {text}"
                )
        elif not 0 < value < float("inf"):
            raise ValueError(f"{name} must be a positive number, such as {getattr(self, name):g}, not {text}")
        return replace(self, **{name: value})

    @property
    def budget(self) -> float:
        """The share of the requests that may fail."""
        return round(1 - self.objective, 9)  # 1 - 0.999 is 0.0010000000000000009

    def listed(self, but: Thresholds | None = None) -> str:
        """Return each as `name=value`, as the command line takes it; only those that `but` has with another value.

        Example:
            >>> Thresholds(latency_s=0.5).listed(but=Thresholds())
            'latency_s=0.5'
        """
        shown = (name for name in self.names() if but is None or getattr(self, name) != getattr(but, name))
        return ", ".join(f"{name}={getattr(self, name):.9g}" for name in shown)

    def words(self) -> dict[str, str]:
        """Return each number as rules and texts print it; a share also as a percentage.

        Example:
            >>> words = Thresholds().words()
            >>> words["error_share"], words["error_percent"], words["budget"], words["latency_s"]
            ('0.05', '5%', '0.001', '1')
        """
        numbers = {name: getattr(self, name) for name in self.names()} | {"budget": self.budget}
        percentages = {
            name.replace("_share", "_percent") if name.endswith("_share") else f"{name}_percent": f"{value * 100:.9g}%"
            for name, value in numbers.items()
            if name.endswith("_share") or name in {"objective", "budget"}
        }
        return {name: f"{value:.9g}" for name, value in numbers.items()} | percentages
