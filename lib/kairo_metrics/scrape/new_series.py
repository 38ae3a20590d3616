"""New series are shown at zero first, for scrapers that do not know when a series began.

`increase` and `rate` begin with the second value of a series. So what it counted before its first scrape is never seen,
unless that scrape shows it at zero.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from ..exposition.family import Family
from ..exposition.page import Page
from ..model.delivery_metrics import OWN_PREFIX
from ..model.merging import zero_numbers
from ..model.schema import Schema

__all__ = ["at_zero", "with_zeros"]


def with_zeros(page: Page, zero_s: float, kept: Mapping[Schema, Collection[bytes]]) -> Page:
    """Return the page with new counters, histograms and summaries at zero, each as a whole and without exemplars.

    Whether a series is new depends on the store alone. So every scraper sees the same, whichever function answers.

    Args:
        page: families that tell when their series began.
        zero_s: seconds during which a series is new.
        kept: series by family that an earlier page may have shown higher; they stay as they are.

    Example:
        >>> jobs = Family(Schema("jobs", "counter"), {b"": b"5"}, began={b"": 1_000})
        >>> with_zeros(Page((jobs,), at_ms=9_000), 10, {}).families[0].series
        {b'': b'0'}
    """
    families = (_with_zeros(family, page.at_ms, zero_s, kept.get(family.schema, ())) for family in page.families)
    return replace(page, families=tuple(families))


def at_zero(family: Family, now_ms: int, zero_s: float) -> dict[bytes, float]:
    """Return the series of a family that are shown at zero, each with the seconds until its value is shown.

    Args:
        family: it tells when its series began.
        now_ms: the time of the page, in ms since 1970.
        zero_s: seconds during which a series is new.

    Example:
        >>> jobs = Family(Schema("jobs", "counter"), {b"": b"5"}, began={b"": 1_000})
        >>> at_zero(jobs, 9_000, 10)
        {b'': 2.0}
    """
    if family.schema.name.startswith(OWN_PREFIX):
        return {}  # those that rules look at are on the page at zero before they count anything
    left_s = {text: zero_s - (now_ms - began_ms) / 1000 for text, began_ms in family.began.items()}
    return {text: seconds for text, seconds in left_s.items() if seconds > 0}


def _with_zeros(family: Family, at_ms: int, zero_s: float, kept: Collection[bytes]) -> Family:
    schema = family.schema
    new = at_zero(family, at_ms, zero_s).keys() - set(kept)
    if not new:
        return family
    series = {
        text: zero_numbers(schema, numbers) if text in new else numbers for text, numbers in family.series.items()
    }
    exemplars = {text: found for text, found in family.exemplars.items() if text not in new}
    return replace(family, series=series, exemplars=exemplars)
