"""`show METRIC`: what a scrape would say of it now, as a table; a histogram with its picture and quantiles."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from ...config.settings import Settings
from ...exposition.family import Family
from ...model.labels import labels_of
from ...scrape.collector import Limits, collect
from ...store.redis_store import RedisStore
from ..histogram_quantiles import bars, quantile
from ..store_access import CommandError, read_store, short, unknown_metric
from ..table import print_table
from ..terminal import Terminal, printable

__all__ = ["add_show"]

_SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_BAR_WIDTH = 40
_NARROWEST_BAR = 8
_ALL = "all of it"


def add_show(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    show = commands.add_parser(
        "show",
        help="show one metric's live values; a histogram as a picture, with p50, p95 and p99",
        description="Show what a scrape would say of one metric now. Quantiles are estimated as Prometheus does it, "
        "over all that was counted.",
    )
    show.add_argument("metric", metavar="METRIC", help="its name, or that of a sample: http_requests_total")
    show.add_argument(
        "--label",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        type=_label,
        help="only series with this label; may be repeated",
    )
    show.add_argument("--json", action="store_true", help="print JSON")
    show.set_defaults(run=_show)


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, not {text!r}")
    return name, value


def _show(options: argparse.Namespace) -> int:
    terminal = Terminal()

    async def read(store: RedisStore, settings: Settings) -> Family:
        scrape = await collect(
            store, Limits(settings.series_ttl_s, settings.instance_lease_s), frozenset({options.metric})
        )
        named = scrape.page.named(frozenset({options.metric})).families
        if not named:
            snapshot = await store.snapshot()
            raise unknown_metric(options.metric, [entry.schema for entry in snapshot.entries], settings.namespace)
        return named[0]

    family = read_store(read)
    rows = {
        text.decode(): numbers.split()
        for text, numbers in sorted(family.series.items())
        if dict(options.label).items() <= labels_of(text.decode()).items()
    }
    if not rows:
        wanted = ", ".join(f'{name}="{value}"' for name, value in options.label)
        raise CommandError(f"{family.schema.name} has no series with {wanted}; its labels are {_labels(family)}")
    if options.json:
        terminal.say(json.dumps(_as_json(family, rows), indent=2))
        return 0
    name, about = printable(family.schema.name), printable(family.schema.help)
    terminal.say(f"{terminal.style(name, 'bold')} ({family.schema.type})  {about}")
    terminal.say()
    match family.schema.type:
        case "histogram":
            _print_histogram(terminal, family, rows)
        case "summary":
            table = [(_set(text), int(count), _mean(total, int(count))) for text, (count, total) in rows.items()]
            print_table(terminal, ("label set", "count", "mean"), table)
        case _:
            print_table(terminal, ("label set", "value"), [(_set(t), short(float(n[0]))) for t, n in rows.items()])
    return 0


def _print_histogram(terminal: Terminal, family: Family, rows: Mapping[str, Sequence[bytes]]) -> None:
    bounds = [float(bound) for bound in family.schema.bounds]
    table = [(_set(text), *_figures(numbers, bounds)) for text, numbers in rows.items()]
    summed = _summed(rows)
    if len(rows) > 1:
        table.append((_ALL, *_figures(summed, bounds)))
    print_table(terminal, ("label set", "count", "mean", *_SHARES), table)
    terminal.say()
    counts = [int(count) for count in summed[1:]]
    last = family.schema.bounds[-2] if len(bounds) > 1 else "-Inf"
    limits = [*(f"<= {bound}" for bound in family.schema.bounds[:-1]), f"> {last}"]
    width = max(map(len, limits))
    digits = max(len(str(count)) for count in counts)
    marks = {name: _bucket_of(share, counts) for name, share in _SHARES.items()} if sum(counts) else {}
    longest = _bar_width(terminal, width + digits)
    for number, bar in enumerate(bars(counts, longest, blocks=terminal.can_print("█▏"))):
        here = " ".join(name for name, bucket in marks.items() if bucket == number)
        drawn = terminal.style(bar, "cyan") + " " * (longest + 2 - len(bar))
        terminal.say(f"{limits[number]:>{width}}  {counts[number]:>{digits}}  {drawn}{here}".rstrip())


def _bar_width(terminal: Terminal, taken: int) -> int:
    """Return how long the longest bar is, so that its line fits the terminal, with all names of quantiles."""
    if terminal.width is None:
        return _BAR_WIDTH
    gaps = 3 * len("  ")
    return max(_NARROWEST_BAR, min(_BAR_WIDTH, terminal.width - taken - gaps - len(" ".join(_SHARES))))


def _bucket_of(share: float, counts: Sequence[int]) -> int:
    """Return the number of the bucket that the quantile lies in."""
    below, rank = 0, share * sum(counts)
    for number, count in enumerate(counts):
        below += count
        if below >= rank:
            return number
    return len(counts) - 1


def _figures(numbers: Sequence[bytes] | Sequence[float], bounds: Sequence[float]) -> tuple[object, ...]:
    counts = [int(count) for count in numbers[1:]]
    estimates = [_estimate(share, bounds, counts) for share in _SHARES.values()]
    return sum(counts), _mean(numbers[0], sum(counts)), *estimates


def _estimate(share: float, bounds: Sequence[float], counts: Sequence[int]) -> str:
    """Print a quantile; what lies beyond the last bound is known to be more than that, and no better."""
    value = quantile(share, bounds, counts)
    if math.isnan(value):
        return "-"
    return f"> {short(value)}" if _bucket_of(share, counts) == len(counts) - 1 else short(value)


def _summed(rows: Mapping[str, Sequence[bytes]]) -> list[float]:
    return [sum(column) for column in zip(*([float(n) for n in numbers] for numbers in rows.values()), strict=True)]


def _mean(total: bytes | float, count: int) -> str:
    return short(float(total) / count) if count else "-"


def _set(text: str) -> str:
    return f"{{{text}}}" if text else "(no labels)"


def _labels(family: Family) -> str:
    return ", ".join(family.schema.labelnames) or "none"


def _as_json(family: Family, rows: Mapping[str, Sequence[bytes]]) -> dict[str, Any]:
    schema = family.schema
    series = [{"labels": labels_of(text), **_value_of(family, numbers)} for text, numbers in rows.items()]
    return {"name": schema.name, "type": schema.type, "help": schema.help, "series": series}


def _value_of(family: Family, numbers: Sequence[bytes]) -> dict[str, Any]:
    match family.schema.type:
        case "histogram":
            counts = [int(count) for count in numbers[1:]]
            bounds = [float(bound) for bound in family.schema.bounds]
            estimates = {name: _finite(quantile(share, bounds, counts)) for name, share in _SHARES.items()}
            buckets = dict(zip(family.schema.bounds, accumulate(counts), strict=True))  # as on the page
            return {"count": sum(counts), "sum": _finite(float(numbers[0])), "buckets": buckets, **estimates}
        case "summary":
            return {"count": int(numbers[0]), "sum": _finite(float(numbers[1]))}
    return {"value": _finite(float(numbers[0]))}


def _finite(value: float) -> float | str:
    """JSON has neither infinity nor NaN."""
    return value if math.isfinite(value) else str(value)
