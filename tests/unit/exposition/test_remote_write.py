"""Remote write 1.0: a push carries the samples of a scrape."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from lib.kairo_metrics.exposition.family import Family
from lib.kairo_metrics.exposition.negotiate import PLAIN
from lib.kairo_metrics.exposition.page import Page
from lib.kairo_metrics.exposition.remote_write import body_of, write_requests
from lib.kairo_metrics.exposition.snappy import wrap
from lib.kairo_metrics.model.encoding import is_classic, label_text, number_text
from lib.kairo_metrics.model.schema import Schema
from tests.support.dev_server import REPOSITORY
from tests.support.native_amounts import AMOUNTS, SCHEMAS, THRESHOLDS, counts_of
from tests.support.write_receiver import decoded

TARGET = {"job": "kairo", "instance": "production"}
AT_MS = 1_764_000_000_123

# What a label may hold: anything but what the store replaces before it keeps it.
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(data=st.binary(max_size=1000))
def test_what_is_wrapped_comes_out_again(data: bytes) -> None:
    """A real snappy decoder gives back every body."""
    assert bytes(cramjam.snappy.decompress_raw(wrap(data))) == data


@pytest.mark.parametrize("length", [0, 1, 60, 61, 127, 128, 65_535, 65_536, 65_537, 2_097_152, 5_000_001])
def test_a_body_of_any_length_can_be_wrapped(length: int) -> None:
    """The lengths at which the format changes its form are decoded like all others."""
    data = bytes(range(251)) * (length // 251 + 1)
    assert bytes(cramjam.snappy.decompress_raw(wrap(data[:length]))) == data[:length]


@given(rows=st.dictionaries(st.tuples(VALUES, VALUES), st.floats(allow_nan=False, min_value=0), min_size=1, max_size=5))
def test_a_push_says_what_a_scrape_says(rows: dict[tuple[str, str], float]) -> None:
    """With any text in the labels, each sample has the labels and the value that Prometheus reads from the page."""
    schema = Schema("jobs", "counter", ("queue", "worker"))
    lines = {label_text(schema.labelnames, values).encode(): repr(number).encode() for values, number in rows.items()}
    family = Family(schema, {text: number.replace(b"inf", b"+Inf") for text, number in lines.items()})
    assert pushed([family]) == scraped([family])


NAMES = ("a", "z", "mail.to", "größe")
NUMBERS = st.floats().map(number_text)
COUNTS = st.integers(0, 2**60).map(str)
BOUNDS = st.lists(st.integers(-3, 9), max_size=4, unique=True).map(
    lambda numbers: (*(f"{number}.0" for number in sorted(numbers)), "+Inf")
)


@st.composite
def families(draw: st.DrawFn) -> Family:
    """Draw a family of any type, with any labels and numbers that a page can have."""
    kind = draw(st.sampled_from(["counter", "gauge", "histogram", "native", "summary", "info", "stateset"]))
    names = tuple(sorted(draw(st.sets(st.sampled_from(NAMES), max_size=3))))
    bounds = draw(BOUNDS) if kind in {"histogram", "native"} else ()
    schema = Schema(draw(st.sampled_from(["jobs", "mails.sent", "größe"])), kind, names, bounds)
    label_sets = draw(st.lists(st.tuples(*[VALUES] * len(names)), min_size=1, max_size=3, unique=True))
    rows = {}
    for values in label_sets:
        labels = [label_text(names, values)] if names else []
        if kind in {"info", "stateset"}:
            labels.append(label_text(["version" if kind == "info" else schema.name], [draw(VALUES)]))
        rows[",".join(labels).encode()] = " ".join(draw(_numbers(schema))).encode()
    return Family(schema, rows)


def _numbers(schema: Schema) -> st.SearchStrategy[list[str]]:
    match schema.type:
        case "histogram":
            return st.tuples(NUMBERS, *[COUNTS] * len(schema.bounds)).map(list)
        case "native":
            counts = st.builds(counts_of, st.lists(AMOUNTS, max_size=5), SCHEMAS, THRESHOLDS)
            return counts.map(lambda counted: counted.text().split())
        case "summary":
            return st.tuples(COUNTS, NUMBERS).map(list)
        case "info":
            return st.just(["1"])
        case "stateset":
            return st.sampled_from([["0"], ["1"]])
    return NUMBERS.map(lambda number: [number])


@given(families())
def test_a_push_carries_exactly_the_samples_of_the_page(family: Family) -> None:
    """For every type of metric a receiver gets each sample of the 0.0.4 page, and no other."""
    samples = pushed([family])
    assert {(labels, _comparable(value)) for labels, value in samples} == {
        (labels, _comparable(value)) for labels, value in scraped([family])
    }
    # A name beyond the classic letters would spoil the page, and receivers refuse it.
    assert all(is_classic(name) for labels, _ in samples for name, _ in labels)


def test_histograms_and_summaries_are_pushed_as_their_samples() -> None:
    """A histogram arrives as its cumulative buckets, count and sum, a summary as count and sum."""
    families = [
        Family(Schema("wait", "histogram", ("a",), ("0.5", "1.0", "+Inf")), {b'a="x"': b"2.5 1 0 2"}),
        Family(Schema("size", "summary"), {b"": b"3 10.25"}),
    ]
    assert pushed(families) == scraped(families)
    assert len(pushed(families)) == 7


def test_labels_are_sorted_and_none_is_empty() -> None:
    """Receivers refuse labels out of order; an empty value is no label."""
    family = Family(Schema("jobs", "counter", ("a", "z")), {b'a="",z="1"': b"3"})
    [series] = write_requests(Page((family,), AT_MS), TARGET)
    body = body_of(series).data
    [(labels, value, at_ms)] = decoded(body)
    assert list(labels.items()) == [
        ("__name__", "jobs_total"),
        ("instance", "production"),
        ("job", "kairo"),
        ("z", "1"),
    ]
    assert (value, at_ms) == (3, AT_MS)


def test_a_metrics_own_job_label_is_kept_as_prometheus_keeps_it() -> None:
    """The target's labels win; the metric's own of the same name are exported_job, and so on."""
    family = Family(Schema("jobs", "counter", ("exported_job", "job")), {b'exported_job="b",job="a"': b"1"})
    [series] = write_requests(Page((family,), AT_MS), TARGET)
    body = body_of(series).data
    [(labels, _, _)] = decoded(body)
    assert labels == {
        "__name__": "jobs_total",
        "exported_exported_job": "a",
        "exported_job": "b",
        "instance": "production",
        "job": "kairo",
    }


def test_a_large_state_is_pushed_in_several_requests() -> None:
    """2,000 series go into one request, as Prometheus does it; nothing is left out or sent twice."""
    rows = {b'n="%d"' % number: b"%d" % number for number in range(4_500)}
    requests = list(write_requests(Page((Family(Schema("jobs", "counter", ("n",)), rows),), AT_MS), TARGET))
    assert [len(series) for series in requests] == [2_000, 2_000, 500]
    samples = [labels["n"] for series in requests for labels, _, _ in decoded(body_of(series).data)]
    assert sorted(map(int, samples)) == list(range(4_500))


def test_infinite_and_missing_numbers_arrive_as_such() -> None:
    """+Inf, -Inf and NaN are what they are."""
    family = Family(Schema("g", "gauge", ("n",)), {b'n="a"': b"+Inf", b'n="b"': b"-Inf", b'n="c"': b"NaN"})
    [series] = write_requests(Page((family,), AT_MS), TARGET)
    body = body_of(series).data
    values = {labels["n"]: value for labels, value, _ in decoded(body)}
    assert (values["a"], values["b"]) == (math.inf, -math.inf)
    assert math.isnan(values["c"])


@pytest.mark.parametrize("name", ["remote_write", "remote_write_2"])
def test_the_message_code_is_what_the_compiler_makes(name: str, tmp_path: Path) -> None:
    """`make proto` was run after the schema was last changed."""
    schema = Path("kairo_metrics", "exposition", f"{name}.proto")
    outputs = [f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", "lib", *outputs, str(Path("lib", schema))]
    subprocess.run(command, cwd=REPOSITORY, check=True)
    for suffix in (".py", ".pyi"):
        made = schema.with_name(f"{name}_pb2{suffix}")
        compiled = (tmp_path / made).read_text()
        # `make proto` takes out the demand for the compiler's own version.
        demand = r"^_runtime_version\.Validate.*?^\)\n|^[^\n]*import runtime_version[^\n]*\n"
        compiled = re.sub(demand, "", compiled, flags=re.MULTILINE | re.DOTALL)
        assert (REPOSITORY / "lib" / made).read_text() == compiled


Samples = set[tuple[frozenset[tuple[str, str]], str]]


def pushed(families: list[Family]) -> Samples:
    """Return the samples that the bodies carry, without the target's labels."""
    samples = [
        sample
        for series in write_requests(Page(tuple(families), AT_MS), TARGET)
        for sample in decoded(body_of(series).data)
    ]
    assert {at_ms for _, _, at_ms in samples} == {AT_MS}
    return {(frozenset(set(labels.items()) - set(TARGET.items())), number_text(value)) for labels, value, _ in samples}


def _comparable(value: str) -> float | str:
    """Return a number, or the text of one that does not equal itself."""
    number = float(value)
    return "NaN" if math.isnan(number) else number


def scraped(families: list[Family]) -> Samples:
    """Return the samples of the 0.0.4 page, read by prometheus_client's parser."""
    page = b"".join(PLAIN.render(Page(tuple(families), AT_MS))).decode()
    return {
        (
            frozenset([("__name__", sample.name), *filter(lambda label: label[1], sample.labels.items())]),
            number_text(sample.value),
        )
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
