"""A query of SQLAlchemy through an engine that is observed, compared with one that is not, in turn in one process."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine, select
from sqlalchemy.pool import StaticPool

from benchmarks.timing import median_s, row
from lib.kairo_metrics import Settings, observe
from lib.kairo_metrics.delivery.process_pipeline import close_pipeline, open_pipeline
from lib.kairo_metrics.testing import MemoryStore

__all__ = ["bench_queries"]

_ROUNDS, _CALLS = 15, 200
_BOOKS = Table("books", MetaData(), Column("id", Integer, primary_key=True))


def bench_queries() -> None:
    """Measure a transaction with one `SELECT` in SQLite's memory."""
    print("Query of SQLAlchemy in a transaction, floor: an engine that is not observed")
    settings = Settings(enabled=True)
    open_pipeline(settings, MemoryStore(settings))
    plain, observed = _query(_engine()), _query(observe(_engine()))
    rounds = [(median_s(plain, _CALLS), median_s(observed, _CALLS)) for _ in range(_ROUNDS)]
    floor_s, ours_s = (statistics.median(times) for times in zip(*rounds, strict=True))
    row("not observed", floor_s)
    row("observed", ours_s, floor_s)
    close_pipeline()


def _engine() -> Engine:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    _BOOKS.metadata.create_all(engine)
    return engine


def _query(engine: Engine) -> Callable[[], object]:
    def query() -> object:
        with engine.begin() as connection:
            return connection.execute(select(_BOOKS)).all()

    return query


if __name__ == "__main__":
    bench_queries()
