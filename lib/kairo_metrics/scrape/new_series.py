"""New series are shown at zero first, for scrapers that do not know when a series began.

`increase` and `rate` begin with the second value of a series. So what it counted before its first scrape is never seen,
unless that scrape shows it at zero.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from ..exposition.family import Family
from ..exposition.page import Page
from ..model.merging import zero_numbers
from ..model.schema import Schema

__all__ = ["is_new", "with_zeros"]

# The metrics about the delivery itself; those that rules look at are on the page at zero before they count anything.
_OWN = "kairo_"


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
    return replace(page, families=tuple(_with_zeros(family, page.at_ms, zero_s, kept) for family in page.families))


def is_new(began_ms: int, now_ms: int, zero_s: float) -> bool:
    """Tell whether a series is shown at zero.

    Args:
        began_ms: when it began, in ms since 1970; 0 if that is not certain.
        now_ms: the time now, by the same clock.
        zero_s: seconds during which a series is new.
    """
    return now_ms - began_ms < zero_s * 1000


def _with_zeros(family: Family, at_ms: int, zero_s: float, kept: Mapping[Schema, Collection[bytes]]) -> Family:
    schema = family.schema
    if schema.name.startswith(_OWN):
        return family
    stays = kept.get(schema, ())
    new = {text for text, began_ms in family.began.items() if is_new(began_ms, at_ms, zero_s) and text not in stays}
    if not new:
        return family
    series = {
        text: zero_numbers(schema, numbers) if text in new else numbers for text, numbers in family.series.items()
    }
    exemplars = {text: found for text, found in family.exemplars.items() if text not in new}
    return replace(family, series=series, exemplars=exemplars)
