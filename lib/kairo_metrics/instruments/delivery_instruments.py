"""What is counted of the metrics endpoint and the push endpoint."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from .declaration import Declaration, Group

__all__ = ["PUSHED_UNTIL", "DeliveryInstruments"]

PUSHED_UNTIL = "kairo_pushed_until_timestamp_seconds"


class DeliveryInstruments(Group):
    """What the metrics endpoint and the push endpoint do besides serving the page."""

    token_reads: Counter
    pushes: Counter
    pushed_samples: Counter
    pushed_until: Gauge

    declared = (
        Declaration(
            Counter,
            "kairo_token_reads_total",
            "Times an instance read the accepted tokens from where they are kept: "
            "done, missing (there is none) or failed.",
            ("outcome",),
        ),
        Declaration(
            Counter,
            "kairo_pushes_total",
            "Times that the metrics were pushed to a remote-write receiver: done, refused, or failed on the way.",
            ("outcome",),
        ),
        Declaration(
            Counter,
            "kairo_pushed_samples_total",
            "Samples that a remote-write receiver has taken or has refused; "
            "zero and zero_refused are those before the first value of a new series.",
            ("outcome",),
        ),
        Declaration(
            Gauge,
            PUSHED_UNTIL,
            "The time, by the store's clock, until which a remote-write receiver has the metrics.",
            ("receiver",),
            {"multiprocess_mode": "mostrecent"},
        ),
    )
