"""The system that files are written for: its names, its parts, its thresholds."""

from __future__ import annotations

import re
from typing import Any

import pytest

from lib.kairo_metrics.cli.commands import grafana as command
from lib.kairo_metrics.dev.grafana.system import PARTS, System
from lib.kairo_metrics.dev.grafana.system_files import files_of
from lib.kairo_metrics.dev.grafana.thresholds import Thresholds
from lib.kairo_metrics.instruments.declarations import DECLARATIONS


@pytest.mark.parametrize(
    ("title", "uid"),
    [("Kairo CMS", "kairo-cms"), ("Shop", "shop"), ("Café № 1", "caf-1"), ("…", "kairo-metrics"), ("a" * 60, "a" * 40)],
)
def test_the_uid_is_one_that_grafana_takes(title: str, uid: str) -> None:
    """Grafana takes 40 letters, digits and hyphens, and shows the uid in the dashboard's address."""
    assert System(job="a", title=title).uid == uid


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"job": "shop-("}, "job must be a regular expression"),
        ({"job": " "}, "job must be one line of text"),
        ({"job": "a\nb"}, "job must be one line of text"),
        ({"job": "{{x}}"}, "would begin a template"),
        ({"title": ""}, "title must be one line of text"),
        ({"title": "a\nb"}, "title must be one line of text"),
        ({"prefix": "9_"}, "prefix='9_' is not the beginning"),
        ({"prefix": "shop-"}, "prefix='shop-' is not the beginning"),
        ({"without": frozenset({"redis"})}, "there is no part redis; these are: requests, database, push"),
    ],
)
def test_what_can_not_be_used_is_refused(given: dict[str, Any], reason: str) -> None:
    """A wrong argument is an error that names it, and nothing is written."""
    with pytest.raises(ValueError, match=re.escape(reason)):
        System(**{"job": "shop", "title": "Shop", **given})


def test_every_name_that_a_prefix_changes_is_changed() -> None:
    """The files ask for the names that an app with the prefix has: no name of ours stays without it."""
    declared = [one for group in DECLARATIONS.values() for one in group]
    renamed = [one.name for one in declared if one.named("shop_") != one.name]
    for text in files_of(System(job="shop", title="Shop", prefix="shop_")).values():
        assert "shop_http_requests_total" in text
        assert not re.findall(rf"(?<![\w:])(?:{'|'.join(renamed)})\b", text)
        assert not re.search(r"(?<!\w)shop_kairo_", text)


def test_the_command_offers_every_part() -> None:
    """`--without` takes every part that can be left out."""
    assert tuple(PARTS) == command.PARTS


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("error_share", "0.02", ["> 0.02", "more than 2% for 5 minutes", "more than 2% of the requests"]),
        ("latency_s", "0.25", [")) > 0.25", "longer than 0.25 s, until its last byte", '"value": 0.25']),
        ("query_s", "3", [")) > 3", "longer than 3 s."]),
        ("slow_query_s", "0.5", ['le=\\"0.5\\"', "longer than 0.5 s"]),
        ("objective", "0.995", ["> 14.4 * 0.005", "99.5% over 30 days", "lets 0.5% of the requests", "/ 0.005"]),
        ("budget_errors", "25", [":increase1h >= 25"]),
        ("reply_share", "0.1", ["> 0.1", "more than 10% of the batches"]),
        ("series_share", "0.5", ["> 0.5", "more than 50% of the series"]),
        ("memory_share", "0.9", ["> 0.9", "more than 90% of the memory", '"value": 0.72']),
        ("clock_skew_s", "2", ["> 2", "been more than 2 s"]),
        ("scrape_s", "8", ["> 8", "SlowScrape warns above 8."]),
    ],
)
def test_a_threshold_is_changed_in_one_place(name: str, value: str, found: list[str]) -> None:
    """Rules, panels and runbooks take a number from one place, and the old one is gone from its alert."""
    changed = System(job="shop", title="Shop", thresholds=Thresholds().changed(name, value))
    text = "\n".join(files_of(changed).values())
    before = "\n".join(files_of(System(job="shop", title="Shop")).values())
    assert [one for one in found if one not in text or text.count(one) <= before.count(one)] == []


def test_every_threshold_is_used() -> None:
    """Each threshold changes the files."""
    before = files_of(System(job="shop", title="Shop"))
    for name in Thresholds.names():
        value = "0.123" if name.endswith("share") or name == "objective" else "123"
        changed = Thresholds().changed(name, value)
        assert files_of(System(job="shop", title="Shop", thresholds=changed)) != before, name


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("latency", "1", "there is no threshold latency; these are: error_share, latency_s"),
        ("latency_s", "fast", "latency_s must be a positive number, such as 1, not fast"),
        ("latency_s", "0", "latency_s must be a positive number"),
        ("latency_s", "inf", "latency_s must be a positive number"),
        ("latency_s", "nan", "latency_s must be a positive number"),
        ("error_share", "5", "error_share must be a number between 0 and 1, such as 0.05, not 5"),
        ("objective", "99.9", "objective must be a number between 0 and 1, such as 0.999, not 99.9"),
        ("objective", "", "objective must be a number between 0 and 1"),
    ],
)
def test_a_wrong_threshold_is_refused(name: str, text: str, reason: str) -> None:
    """The error says what the number must be."""
    with pytest.raises(ValueError, match=re.escape(reason)):
        Thresholds().changed(name, text)
