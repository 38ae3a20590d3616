"""The page as text: golden files for its shape, real parsers for its validity."""

from __future__ import annotations

import itertools
import math
import string
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from lib.kairo_metrics.exposition import openmetrics, text
from lib.kairo_metrics.exposition.family import Family
from lib.kairo_metrics.exposition.negotiate import choose_format
from lib.kairo_metrics.exposition.page import Page
from lib.kairo_metrics.model.encoding import label_text, number_text, pack_line
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.scrape.decode import SeriesDecoder
from lib.kairo_metrics.scrape.resolve import resolve
from tests.support.families import FAMILIES

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.mark.parametrize(("form", "name"), [(text, "text-0.0.4.txt"), (openmetrics, "openmetrics-1.0.0.txt")])
def test_a_page_looks_like_its_golden_file(form: ModuleType, name: str) -> None:
    """Names, order, escapes and numbers are exactly those that scrapers are used to."""
    assert b"".join(form.render(FAMILIES)) == (GOLDEN / name).read_bytes()


def test_a_page_with_all_names_looks_like_its_golden_file() -> None:
    """Names beyond the classic letters are quoted where the scraper takes them, in HELP, TYPE and every sample."""
    schema = Schema("größe in bytes", "histogram", ("mail.to",), ("1.0", "+Inf"), help="Size.")
    family = Family(schema, {b'"mail.to"="a"': b"2.5 1 1", b"": b"0 0 0"})
    form = choose_format("text/plain;version=1.0.0;escaping=allow-utf-8")
    assert b"".join(form.render(Page((*FAMILIES, family)))) == (GOLDEN / "text-1.0.0.txt").read_bytes()


def test_the_label_of_a_stateset_has_classic_letters_where_the_format_knows_no_others() -> None:
    """An enum whose name has a dot is on every page, and every page is valid."""
    family = Family(Schema("door.state", "stateset", states=("open",)), {b'"door.state"="open"': b"1"})
    page = Page((family,))
    assert b'\ndoor_state{door_state="open"} 1\n' in b"".join(choose_format("").render(page))
    utf_8 = choose_format("text/plain;version=1.0.0;escaping=allow-utf-8")
    assert b'\n{"door.state","door.state"="open"} 1\n' in b"".join(utf_8.render(page))


LABEL_VALUES = st.text() | st.text(alphabet='"\\\n\x00\r\t{}=,\ud800é🙂')
NAMES = st.text(string.ascii_letters + "_", min_size=1, max_size=8).filter(lambda name: not name.startswith("__"))
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.dictionaries(NAMES, LABEL_VALUES, min_size=1, max_size=4), FINITE)
def test_any_label_and_number_survives_the_way_through(labels: dict[str, str], value: float) -> None:
    """Any text in a label is accepted by the store and read by both parsers with the same meaning."""
    names = tuple(sorted(labels))
    schema = Schema("load", "gauge", names, mode="mostrecent", help="Load.")
    decoder = SeriesDecoder(schema, 0)
    decoder.add_chunk([label_text(names, [labels[name] for name in names]).encode(), pack_line([value, 1], 1, 1)])
    assert decoder.damaged == 0
    printable = {name: "".join(_printable(character) for character in text) for name, text in labels.items()}
    for form, parse in ((text, parse_text), (openmetrics, parse_openmetrics)):
        [family] = parse(b"".join(form.render([Family(schema, resolve(schema, decoder.series).series)])).decode())
        [sample] = family.samples
        assert (sample.labels, sample.value) == (printable, value)


def _printable(character: str) -> str:
    return "\ufffd" if character == "\x00" or "\ud800" <= character <= "\udfff" else character


@given(st.floats())
def test_a_number_reads_back_as_it_was(number: float) -> None:
    """Printing a float loses nothing."""
    read = float(number_text(number))
    assert read == number or (math.isnan(read) and math.isnan(number))


@given(
    st.lists(st.floats(0, 1e6), max_size=20),
    st.lists(st.floats(0, 1e6), max_size=20),
    st.lists(st.sampled_from([0.001, 0.5, 1, 3, 10.5, 1e6]), min_size=1, max_size=5, unique=True).map(sorted),
)
def test_the_page_says_what_prometheus_client_would_say(
    counted: list[float], observed: list[float], bounds: list[float]
) -> None:
    """The same events give the same samples as one process with prometheus_client's own renderer."""
    registry = CollectorRegistry()
    counter = Counter("sent", "Sent.", ["to"], registry=registry).labels('a"b')
    gauge = Gauge("open", "Open.", multiprocess_mode="sum", registry=registry)
    summary = Summary("wait", "Wait.", registry=registry)
    histogram = Histogram("size", "Size.", buckets=bounds, registry=registry)
    for amount in counted:
        counter.inc(amount)
        gauge.set(-amount)
    for amount in observed:
        summary.observe(amount)
        histogram.observe(amount)
    families = [_stored(registry, name) for name in ("sent", "open", "wait", "size")]
    ours = b"".join(text.render(families)).decode()
    theirs = generate_latest(registry).decode()
    assert _samples(ours) == {key: value for key, value in _samples(theirs).items() if not key[0].endswith("_created")}


def _stored(registry: CollectorRegistry, name: str) -> Family:
    """Put a family of a registry into the form that it has in the store."""
    [metric] = [metric for metric in registry.collect() if metric.name == name]
    samples = {sample.name.removeprefix(name): sample for sample in metric.samples}
    labelnames = tuple(sorted(samples.get("_total", metric.samples[0]).labels)) if name == "sent" else ()
    labels = label_text(labelnames, [metric.samples[0].labels[label] for label in labelnames]).encode()
    if metric.type == "histogram":
        buckets = [sample for sample in metric.samples if sample.name.endswith("_bucket")]
        cumulative = [0.0, *(bucket.value for bucket in buckets)]
        counts = [high - low for low, high in itertools.pairwise(cumulative)]
        numbers = [samples["_sum"].value, *counts]
        bounds = tuple(bucket.labels["le"] for bucket in buckets)
    else:
        bounds = ()
        suffixes = {"summary": ("_count", "_sum"), "counter": ("_total",), "gauge": ("",)}[metric.type]
        numbers = [samples[suffix].value for suffix in suffixes]
    schema = Schema(name, metric.type, labelnames, bounds, help=metric.documentation)
    return Family(schema, {labels: " ".join(map(number_text, numbers)).encode()})


def _samples(page: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse_text(page)
        for sample in family.samples
    }
