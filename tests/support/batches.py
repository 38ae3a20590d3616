"""Helpers to make batches by hand, and to send them to either store."""

from __future__ import annotations

import asyncio

from lib.kairo_metrics.model.batch import Batch, FamilyDelta, Verdict, Writer
from lib.kairo_metrics.model.moment import Moment
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.store.command_flow import run_flow
from lib.kairo_metrics.store.redis_store import RedisStore
from lib.kairo_metrics.store.store_interface import Store
from tests.support.instance import JOBS

WRITER = Writer("w1", 0)


def send(store: Store, sealed: Batch, writer: Writer = WRITER) -> Verdict:
    """Apply a batch over a blocking connection."""

    with store.sync_client() as link:
        verdict = run_flow(store.apply(writer, sealed), link)
    if isinstance(store, RedisStore):
        asyncio.run(store.aclose())
    return verdict


def batch(seq: int, *families: FamilyDelta) -> Batch:
    return Batch(seq, families, Moment.read())


def delta(*series: tuple[str, str], schema: Schema = JOBS, announce: bool = True) -> FamilyDelta:
    return FamilyDelta(schema, series, 1.0, schema.metadata() if announce else "")
