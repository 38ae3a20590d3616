"""While metrics are on: an engine that is observed, and a server that clients call."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from lib.kairo_metrics.instruments.catalogue import catalogue
from lib.kairo_metrics.instruments.outbound_instruments import OutboundInstruments
from lib.kairo_metrics.instruments.query_instruments import QueryInstruments
from lib.kairo_metrics.integrations.sqlalchemy import observe
from tests.support.books import VISITS, Base
from tests.support.outbound_server import outbound_server


@pytest.fixture(autouse=True)
def _metrics_on() -> None:
    """Build the catalogue, which exists while metrics are on."""
    catalogue(QueryInstruments)
    catalogue(OutboundInstruments)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An observed engine on a file with tables."""
    engine = create_engine(f"sqlite:///{tmp_path}/books.sqlite3")
    Base.metadata.create_all(engine)
    VISITS.create(engine)
    observe(engine)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Give the address of a real server."""
    with outbound_server() as server:
        yield server.url
