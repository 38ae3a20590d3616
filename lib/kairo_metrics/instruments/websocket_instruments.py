"""What is counted of the websockets of an app."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from .declaration import Declaration, Group
from .function_instruments import LONG_BUCKETS

__all__ = ["WebSocketInstruments"]


class WebSocketInstruments(Group):
    """The websockets of an app."""

    connections: Counter
    in_progress: Gauge
    duration: Histogram
    errors: Counter

    declared = (
        Declaration(
            Counter,
            "websocket_connections_total",
            "Websockets that clients have asked for: accepted or refused.",
            ("route", "outcome"),
        ),
        Declaration(
            Gauge,
            "websocket_connections_in_progress",
            "Websockets that are open.",
            ("route",),
            {"multiprocess_mode": "livesum"},
        ),
        Declaration(
            Histogram,
            "websocket_duration_seconds",
            "Seconds from the request for a websocket to its end.",
            ("route",),
            {"buckets": LONG_BUCKETS},
            buckets_of="websocket",
        ),
        Declaration(
            Counter, "websocket_errors_total", "Exceptions that ended a websocket, by class.", ("route", "type")
        ),
    )
