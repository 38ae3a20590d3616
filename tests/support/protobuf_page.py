"""A page in protobuf, read message by message."""

from __future__ import annotations

from io import BytesIO

from google.protobuf.proto import parse_length_prefixed

from lib.kairo_metrics.exposition import client_model_pb2 as model


def decoded(page: bytes) -> list[model.MetricFamily]:
    """Read a page, message by message."""
    source = BytesIO(page)
    return list(iter(lambda: parse_length_prefixed(model.MetricFamily, source), None))
