"""An instance with an instrument of every kind, and its Redis, in which tests damage keys."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from prometheus_client import Counter, Enum, Gauge, Histogram, Info, Summary

from lib.kairo_metrics import NativeHistogram
from lib.kairo_metrics.errors import StoreError
from lib.kairo_metrics.model.schema_validation import parse_schema
from lib.kairo_metrics.store.admin.stored_key import read_key
from lib.kairo_metrics.store.keys import Keys
from lib.kairo_metrics.store.redis_store import RedisStore
from tests.support.every_format import Samples, read_as_text, read_strictly
from tests.support.instance import settings
from tests.support.program import Program

__all__ = [
    "FUTURE",
    "INDEX",
    "NAMES",
    "TIMES",
    "Poisoned",
    "assert_counted",
    "cms",
    "family_of",
    "make_foreign",
    "quarantined",
    "rest",
    "times",
]

INDEX = Keys("development", 0).families
FUTURE = b"999999999999999"
NAMES = ("jobs", "wait", "took", "size", "load", "least", "heat", "everybody", "build", "phase")


def times() -> bytes:
    """Return the end of a line that was updated now."""
    return b" %013d %013d" % (time.time() * 1000, time.time() * 1000)


# The time when the tests were loaded: in a long run, older than the lease of an instance.
TIMES = times()


class Poisoned:
    """An instance that has counted once, over a real Redis.

    Args:
        redis_url: the Redis, which is emptied.
    """

    def __init__(self, redis_url: str) -> None:
        self.settings = settings(redis_url)
        self.store = RedisStore(self.settings)
        self.client: Any = redis.Redis.from_url(redis_url)  # its replies are bytes
        self.client.flushall()
        self._program = Program(self.store, self.settings, "1")
        with self._program.running():
            self._declare()
        self.count()

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def count(self) -> None:
        """Use every instrument, and flush."""
        with self._program.running():
            self._use(self._program.instruments)
        self.flush()

    def flush(self) -> None:
        """Send what is pending."""
        try:
            self._program.flush()
        finally:
            if (pool := self.store._write_pool) is not None:
                while pool._sync_idle:
                    pool._sync_idle.pop().close()

    def read(self) -> Samples:
        """Return the page's samples, after every parser has read it."""
        return read_strictly(self.store)

    def read_text(self) -> Samples:
        """Return the samples of the plain text, which is enough where nothing is damaged any more."""
        return read_as_text(self.store)

    def key(self, name: str) -> bytes:
        """Return the key with the series of a family."""
        key: bytes
        [key] = [key for key in self.client.keys(f"kairo:v1:*:series:{name}:*") if not self.is_of_exemplars(key)]
        return key

    def is_of_exemplars(self, key: bytes) -> bool:
        """Tell whether the key holds exemplars."""
        stored = read_key("development", key)
        metadata = self.client.hget(INDEX, stored.index_field) if stored else None
        return metadata is not None and parse_schema(metadata.split(b" ", 2)[2]).type == "exemplars"

    def foreign(self) -> list[str]:
        """Return why a scrape and a flush fail now; nothing if they succeed."""
        reasons = []
        for attempt in (self.read, self.count):
            try:
                attempt()
            except StoreError as err:
                reasons.append(str(err))
        return reasons

    def _declare(self) -> None:
        registry = self._program.registry
        self._program.instruments |= {
            "jobs": Counter("jobs", "Jobs.", ["queue"], registry=registry),
            "wait": Histogram("wait", "Wait.", ["queue"], buckets=(1, 2), registry=registry),
            "took": Summary("took", "Took.", registry=registry),
            "size": NativeHistogram("size", "Size.", registry=registry),
            "load": Gauge("load", "Load.", multiprocess_mode="sum", registry=registry),
            "least": Gauge("least", "Least.", multiprocess_mode="min", registry=registry),
            "heat": Gauge("heat", "Heat.", ["room"], multiprocess_mode="mostrecent", registry=registry),
            "everybody": Gauge("everybody", "Everybody.", multiprocess_mode="liveall", registry=registry),
            "build": Info("build", "Build.", registry=registry),
            "phase": Enum("phase", "Phase.", states=["up", "down"], registry=registry),
        }

    @staticmethod
    def _use(instruments: dict[str, Any]) -> None:
        for queue in ("a", "b"):
            instruments["jobs"].labels(queue).inc(2, {"trace_id": "4bf9"})
            instruments["wait"].labels(queue).observe(1.5, {"trace_id": "4bf9"})
        instruments["took"].observe(0.25)
        for amount in (0.0, 3.0, -70.0):
            instruments["size"].observe(amount)
        instruments["load"].inc(1.5)
        instruments["least"].set(4)
        instruments["heat"].labels("north").set(19.5)
        instruments["everybody"].set(7)
        instruments["build"].info({"version": "1 beta"})
        instruments["phase"].state("down")


def family_of(series: str) -> str:
    """Return the family of a sample, or the empty string for the pipeline's own metrics."""
    name = series.partition("{")[0]
    return next((family for family in NAMES if name == family or name.startswith(f"{family}_")), "")


@pytest.fixture
def cms(redis_url: str) -> Iterator[Poisoned]:
    """Give an instance that has counted once into the Redis of this test."""
    cms = Poisoned(redis_url)
    yield cms
    cms.close()


def rest(samples: Samples, *damaged: str) -> Samples:
    """Return the samples without the damaged families and without the pipeline's own metrics."""
    return {series: value for series, value in samples.items() if family_of(series) not in {*damaged, ""}}


def quarantined(samples: Samples) -> dict[str, int]:
    """Return how much was left out, by family."""
    prefix = 'kairo_quarantined_fields{family="'
    counts = {
        series.removeprefix(prefix).removesuffix('"}'): int(v) for series, v in samples.items() if prefix in series
    }
    return {family: count for family, count in counts.items() if count}


# By family: damaged lines, without their times.


def make_foreign(client: Any, key: bytes, kind: str) -> None:
    """Replace a key by one of another type."""
    match kind:
        case "string":
            client.set(key, "mine")
        case "list":
            client.rpush(key, "mine")
        case "set":
            client.sadd(key, "mine")
        case "hash":
            client.hset(key, "mine", "mine")


def assert_counted(cms: Poisoned, times: int) -> None:
    """Fail unless every instrument shows what was counted in this number of uses."""
    samples = cms.read()
    assert samples['jobs_total{queue="a"}'] == str(2 * times)
    assert samples['wait_count{queue="b"}'] == samples["took_count"] == str(times)
    assert samples["size_count"] == str(3 * times)
    assert samples["load"] == str(1.5 * times).removesuffix(".0")
    assert {family_of(series) for series in samples} >= set(NAMES)
