"""What a block of `isolated_metrics` has counted: one number, or the page that a scrape would get."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from difflib import get_close_matches
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.utils import floatToGoString

from ..exposition.negotiate import choose_format
from ..scrape.state_reader import StateReader
from .families import Family, declared_families
from .isolation import Isolation, current_isolation

__all__ = ["counted", "page"]

# Returns those whose collectors run.
_Registries = Callable[[], Sequence[CollectorRegistry]]

# It has all names as they were given. Another format has others in the place of those beyond the classic letters.
_AS_GIVEN = "text/plain; version=1.0.0; escaping=allow-utf-8"
_OPENMETRICS = "application/openmetrics-text; version=1.0.0"
# The least likeness, from 0 to 1, of a name that was perhaps meant.
_LIKENESS = 0.6


def counted(name: str, /, **labels: object) -> float:
    """Return what the block of `isolated_metrics` has counted until now, as the page shows it; 0 if nothing.

    It is the sum over all series that have these labels, whatever their other labels are. A collector of the program
    runs for it if no instrument has the name. A counter is asked for by its
    whole name, `orders_total`; a histogram or summary by its `_count`, its `_sum`, or a `_bucket` with its `le`; a
    gauge by its name, and it may be negative.

    Args:
        name: the name of a sample on the page.
        labels: each value is compared as text, so `status=200` is `status="200"`.

    Raises:
        TypeError: the name is no text.
        LookupError: no metric has this name, or this metric has no such label; the error names those that there are.
        ValueError: a bucket is asked for without `le`: the buckets of a histogram include each other.
        KairoError: no block is open.

    Example:
        assert counted("http_requests_total", route="/orders", status=200) == 1
    """
    if not isinstance(name, str):
        raise TypeError(f'counted takes the name of a metric, such as "orders_total", not {type(name).__name__}')
    isolation = current_isolation()
    wanted = {label: _text(label, value) for label, value in labels.items()}
    shown = _samples(isolation)
    families = declared_families()
    declared = [family for family in families if name in family.samples]
    if not declared and not any(sample.name == name for sample in shown):
        shown = _samples(isolation, isolation.collected)  # a collector may ask a server, so none runs without need
    samples = [sample for sample in shown if sample.name == name]
    if not samples and not declared:
        raise LookupError(_no_such_name(name, families, {sample.name for sample in shown}))
    if name.endswith("_bucket") and "le" not in wanted and any(family.type == "histogram" for family in declared):
        raise ValueError(f'{name} needs le, such as le="0.5": the buckets of a histogram include each other')
    known = {label for sample in samples for label in sample.labels}.union(*(family.labels for family in declared))
    unknown = [label for label in wanted if label not in known]
    if unknown and not any(family.type == "info" for family in declared):
        raise LookupError(f"{name} has no label {unknown[0]!r}; it has {', '.join(sorted(known)) or 'none'}")
    return float(sum(sample.value for sample in samples if wanted.items() <= sample.labels.items()))


def page(*, openmetrics: bool = False) -> str:
    """Return the page that a scrape would get now from the block of `isolated_metrics`.

    Args:
        openmetrics: whether it is in the format of OpenMetrics, which has exemplars.

    Raises:
        KairoError: no block is open.

    Example:
        assert 'orders_total{kind="book"} 1' in page()
    """
    isolation = current_isolation()
    return _read(isolation, _OPENMETRICS if openmetrics else "", isolation.collected)


def _samples(isolation: Isolation, registries: _Registries = tuple) -> list[Any]:
    page_text = _read(isolation, _AS_GIVEN, registries)
    return [sample for family in text_string_to_metric_families(page_text) for sample in family.samples]


def _text(label: str, value: object) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return floatToGoString(value) if label == "le" and is_number else str(value)


def _no_such_name(name: str, families: list[Family], shown: set[str]) -> str:
    known = {sample for family in families for sample in family.samples} | shown
    meant = sorted({sample for family in families if name in family.names for sample in family.samples})
    near = meant or get_close_matches(name, sorted(known), cutoff=_LIKENESS)
    return f"no metric has the name {name!r}" + (f"; there is {' or '.join(near)}" if near else "")


def _read(isolation: Isolation, accept: str, registries: _Registries) -> str:
    form = choose_format(accept)
    reader = StateReader(isolation.store, isolation.settings, _nothing_to_flush, registries)
    isolation.flush()
    started_s = time.perf_counter()
    patience_s = isolation.settings.scrape_timeout_ms / 1000
    # In a thread of its own: this one may have a running event loop.
    with ThreadPoolExecutor(1) as thread:
        reading = reader.read_page(started_s, patience_s, extras=form.printed_extras)
        shown, _ = thread.submit(asyncio.run, reading).result()
    return b"".join(form.render(shown)).decode()


async def _nothing_to_flush() -> None:
    """Do nothing: it is done before, in the thread that counts."""
