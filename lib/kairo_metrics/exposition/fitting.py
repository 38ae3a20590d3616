"""A page as one format prints it: names are escaped, and what is printed alike after that becomes one series.

A family is looked at row by row only if two of its rows can be printed alike: if one of its names has to be escaped, if
its series have different label names, or if another family has the same name after escaping.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

from ..model.encoding import label_text, number_text
from ..model.labels import label_pairs
from ..model.merging import join_numbers, rebin
from ..model.schema import Schema
from .family import Exemplar, Extras, Family
from .names import printed_label, unquoted_name_of
from .page import Page

__all__ = ["JOINED", "fitted"]

JOINED = Schema(
    "kairo_joined_series",
    "gauge",
    ("family",),
    help="Series that this format prints like another one; they are added up, or the newest is shown.",
)
# Labels that the samples of a type have beside those of the series.
_RESERVED = {"gaugehistogram": {"le"}, "histogram": {"le"}, "native": {"le"}, "summary": {"quantile"}}
# What is printed in another way: a name in quotes or with two underscores before it, and an empty value.
_MAY_CHANGE = re.compile(rb'(?:^|,)(?:"|__)|=""')
# How long a native histogram says when it began. A scraper needs it once, and Prometheus 3.2 to 3.5 with the feature
# created-timestamp-zero-ingestion end if they can't make a zero of it: if it began more than an hour ago, or before the
# out-of-order time window (https://github.com/prometheus/prometheus/issues/16318).
_NATIVE_TOLD_MS = 5 * 60 * 1000
# OpenMetrics 1.0, section "Exemplars": names and values together. Escaping may make names longer.
_LONGEST_EXEMPLAR = 128


def fitted(page: Page, extras: Extras) -> Page:
    """Return a page whose names are those of a format, and on which no two samples have the same name and labels.

    Args:
        page: families without names that clash.
        extras: what the format prints.

    Example:
        >>> mails = Family(Schema("mails", "counter", ("to.b",)), {b'"to.b"="a"': b"3", b'to_b="a"': b"4"})
        >>> fitted(Page((mails,)), Extras()).families[0].series
        {b'to_b="a"': b'7'}
    """
    groups: defaultdict[tuple[str, str], list[Family]] = defaultdict(list)
    for family in page.families:
        own = replace(family if extras.native else _classic(family), escaping=extras.escaping)
        groups[unquoted_name_of(own), own.schema.type].append(own)
    families = []
    joined: dict[str, int] = {}
    for group in groups.values():
        family = group[0]
        if len(group) > 1 or any(map(_may_coincide, group)):
            family = _joined_family(group)
            if alike := sum(len(one.series) for one in group) - len(family.series):
                joined[family.schema.name] = alike
        elif family.exemplars:
            family = replace(family, exemplars=_escaped_exemplars(family))
        families.append(_without_old_times(family, page.at_ms))
    if joined:
        rows = {label_text(JOINED.labelnames, [name]).encode(): b"%d" % count for name, count in joined.items()}
        families.append(Family(JOINED, rows))
    return replace(page, families=tuple(families))


def _without_old_times(family: Family, at_ms: int) -> Family:
    if family.schema.type != "native" or not family.created:
        return family
    young = {text: began_ms for text, began_ms in family.created.items() if at_ms - began_ms < _NATIVE_TOLD_MS}
    return replace(family, created=young)


def _classic(family: Family) -> Family:
    if family.schema.type != "native":
        return family
    from .classic import as_classic  # most pages have no native histogram

    return as_classic(family)


def _may_coincide(family: Family) -> bool:
    if family.mixed or not _is_printed_as_it_is(family.schema.labelnames, family.escaping):
        return True
    if family.schema.type not in {"info", "stateset"}:
        return False
    # These have labels that are not in their schema. A comma before a quote may be part of a value, which does no harm.
    return family.escaping == "dots" or any(map(_MAY_CHANGE.search, family.series))


@lru_cache(maxsize=4096)
def _is_printed_as_it_is(names: tuple[str, ...], scheme: str) -> bool:
    return all(printed_label(name, scheme) == name for name in names)


def _joined_family(group: list[Family]) -> Family:
    """Join families with one printed name, under the schema of the one that is declared with it."""
    main = min(group, key=lambda family: (unquoted_name_of(family) != family.schema.name, family.schema.name))
    series: dict[bytes, bytes] = {}
    created: dict[bytes, int] = {}
    began: dict[bytes, int] = {}
    set_at: dict[bytes, int] = {}
    exemplars: dict[bytes, dict[int, Exemplar]] = defaultdict(dict)
    for family in group:
        bounds_differ = family.schema.bounds != main.schema.bounds and family.schema.type == "histogram"
        rows = rebin(dict(family.series), family.schema, main.schema) if bounds_differ else family.series
        for text, numbers in rows.items():
            printed = _printed_text(family, text)
            at_ms = family.set_at.get(text, 0)
            held = series.get(printed)
            if held is not None:
                numbers = _join(main.schema, (held, set_at.get(printed, 0)), (numbers, at_ms))  # noqa: PLW2901
            series[printed] = numbers
            set_at[printed] = max(at_ms, set_at.get(printed, 0))
            for times, joined in ((family.created, created), (family.began, began)):
                if text in times:
                    joined[printed] = min(times[text], joined.get(printed, times[text]))
            for place, exemplar in () if bounds_differ else family.exemplars.get(text, {}).items():
                _add_exemplar(exemplars[printed], place, exemplar, family.escaping)
    return replace(
        main,
        series=series,
        exemplars=exemplars,
        created=created,
        set_at=set_at,
        mixed=len(group) > 1,
        began=began,
    )


def _printed_text(family: Family, text: bytes) -> bytes:
    schema = family.schema
    state = schema.name if schema.type == "stateset" else None
    reserved = set(_RESERVED.get(schema.type, ()))
    if state is not None:
        reserved.add(printed_label(state, family.escaping))
    pairs = label_pairs(text.decode())
    return _text((pair for pair in pairs if pair[1] or pair[0] == state), family.escaping, reserved, state)


def _text(
    pairs: Iterable[tuple[str, str]], scheme: str, reserved: Iterable[str] = (), state: str | None = None
) -> bytes:
    """Print labels by their escaped names.

    An empty label is the same as none. The values of labels with the same escaped name are joined, ordered by the
    names before. A label with a name of the format's own becomes `exported_...`, as in Prometheus.

    Source: https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/, "Metric Attributes"
    """
    labels: dict[str, str] = {}
    for name, value in sorted(pairs):
        printed = printed_label(name, scheme)
        while printed in reserved and name != state:
            printed = f"exported_{printed}"
        labels[printed] = f"{labels[printed]};{value}" if printed in labels else value
    names = sorted(labels)
    return label_text(names, [labels[name] for name in names]).encode()


def _escaped_exemplars(family: Family) -> Mapping[bytes, Mapping[int, Exemplar]]:
    escaped: dict[bytes, dict[int, Exemplar]] = {}
    for text, by_place in family.exemplars.items():
        for place, exemplar in by_place.items():
            _add_exemplar(escaped.setdefault(text, {}), place, exemplar, family.escaping)
    return escaped


def _join(schema: Schema, one: tuple[bytes, int], other: tuple[bytes, int]) -> bytes:
    """Join the shown numbers of two series, each with the time when it was set."""
    if schema.type != "gauge" and schema.rule != "latest":
        return one[0] if schema.rule == "word" else join_numbers(schema, one[0], other[0])
    numbers = [one[0], other[0]]
    match schema.mode.removeprefix("live"):
        case "sum":
            return number_text(sum(map(float, numbers))).encode()
        case "min":
            return min(numbers, key=float)
        case "max":
            return max(numbers, key=float)
    return max(one, other, key=lambda held: held[1])[0]


@lru_cache(maxsize=1_024)
def _exemplar_text(labels: bytes, scheme: str) -> tuple[bytes, bool]:
    """Return the labels of an exemplar by their escaped names, and whether they are short enough for the format."""
    text = _text(label_pairs(labels.decode()), scheme)
    return text, sum(len(name) + len(value) for name, value in label_pairs(text.decode())) <= _LONGEST_EXEMPLAR


def _add_exemplar(held: dict[int, Exemplar], place: int, exemplar: Exemplar, scheme: str) -> None:
    text, is_short = _exemplar_text(exemplar.labels, scheme)
    if is_short and (place not in held or held[place].at_ms <= exemplar.at_ms):
        held[place] = replace(exemplar, labels=text)
