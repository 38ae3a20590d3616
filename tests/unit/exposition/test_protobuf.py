"""The protobuf format: the same page, message by message."""

from __future__ import annotations

from pathlib import Path

from google.protobuf import text_format
from prometheus_client.parser import text_string_to_metric_families

from lib.kairo_metrics.exposition import client_model_pb2 as model
from lib.kairo_metrics.exposition import protobuf, text
from lib.kairo_metrics.exposition.family import Exemplar, Family
from lib.kairo_metrics.model.schema import Schema
from tests.support.families import FAMILIES
from tests.support.protobuf_page import decoded

GOLDEN = Path(__file__).parents[2] / "golden" / "protobuf.txt"
ACCEPT = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
Samples = set[tuple[str, tuple[tuple[str, str], ...], float]]

WITH_EXTRAS = Family(
    Schema("wait", "histogram", ("queue",), ("0.5", "+Inf"), help="Wait."),
    {b'queue="a"': b"2.5 1 2"},
    {b'queue="a"': {3: Exemplar(b'trace_id="4bf9"', b"1.25", 1_764_000_000_123)}},
    {b'queue="a"': 1_763_000_000_500},
)


def samples(families: list[model.MetricFamily]) -> Samples:
    """Return the samples that Prometheus makes of the messages."""
    found: Samples = set()
    for family in families:
        for metric in family.metric:
            labels = tuple(sorted((pair.name, pair.value) for pair in metric.label))
            match family.type:
                case model.COUNTER:
                    found.add((family.name, labels, metric.counter.value))
                case model.GAUGE:
                    found.add((family.name, labels, metric.gauge.value))
                case model.SUMMARY:
                    found |= _counted(family.name, labels, metric.summary)
                case model.HISTOGRAM:
                    found |= _counted(family.name, labels, metric.histogram)
                    for bucket in metric.histogram.bucket:
                        bound = "+Inf" if bucket.upper_bound == float("inf") else str(bucket.upper_bound)
                        key = tuple(sorted([*labels, ("le", bound)]))
                        found.add((f"{family.name}_bucket", key, bucket.cumulative_count))
    return found


def _counted(name: str, labels: tuple[tuple[str, str], ...], counted: model.Summary | model.Histogram) -> Samples:
    return {(f"{name}_count", labels, counted.sample_count), (f"{name}_sum", labels, counted.sample_sum)}


def test_the_messages_say_what_the_text_says() -> None:
    """Every sample of the text format is in the messages with the same value, and no other."""
    page = b"".join(text.render(FAMILIES)).decode()
    shown = {
        (sample.name, tuple(sorted(sample.labels.items())), sample.value)
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
    # A histogram whose sum can fall has none in the text.
    shown |= {("drift_sum", (), -2.0)}
    assert samples(decoded(b"".join(protobuf.render(FAMILIES)))) == shown


def test_the_messages_look_like_their_golden_file() -> None:
    """Names, types, exemplars and created times are exactly where Prometheus looks for them."""
    families = decoded(b"".join(protobuf.render([*FAMILIES, WITH_EXTRAS])))
    assert "---\n".join(map(text_format.MessageToString, families)) == GOLDEN.read_text()
