"""Pages come in order: families by name, series by label text, and what is about the page itself at the end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lib.kairo_metrics.exposition.family import Family
from lib.kairo_metrics.exposition.page import Page
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.scrape.page_order import PageOrder

SERIES = st.dictionaries(st.binary(max_size=3), st.binary(max_size=2), max_size=12)
FAMILIES = st.dictionaries(st.sampled_from(["b", "a", "kairo_a", "c"]), SERIES, max_size=4)


def page_of(families: dict[str, dict[bytes, bytes]]) -> Page:
    return Page(tuple(Family(Schema(name, "counter"), series) for name, series in families.items()))


@given(st.lists(FAMILIES, max_size=5))
def test_each_page_is_sorted_whatever_came_before(pages: list[dict[str, dict[bytes, bytes]]]) -> None:
    """Series that come, go and change never leave their place, and no number changes."""
    order = PageOrder()
    for families in pages:
        shown = order.applied(page_of(families))
        names = [family.schema.name for family in shown.families]
        assert names == sorted(families, key=lambda name: (name.startswith("kairo_"), name))
        for family in shown.families:
            assert list(family.series.items()) == sorted(families[family.schema.name].items())


def test_a_page_of_some_families_leaves_the_order_of_the_others() -> None:
    """A scrape of one name between two scrapes of all changes nothing."""
    order, both = PageOrder(), {"a": {b"2": b"", b"1": b""}, "b": {b"2": b"", b"1": b""}}
    whole = order.applied(page_of(both))
    order.applied(page_of({"a": both["a"]}), frozenset({"a"}))
    assert order.applied(page_of(both)) == whole
