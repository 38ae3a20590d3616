"""Whole scrapes: shards, schemas and time, and scrapes that fail."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from lib.kairo_metrics.config.settings import Settings
from lib.kairo_metrics.delivery.outbox import Outbox
from lib.kairo_metrics.exposition import openmetrics, text
from lib.kairo_metrics.exposition.family import Extras
from lib.kairo_metrics.instruments.pending_series import PendingSeries
from lib.kairo_metrics.instruments.recorder import Recorder
from lib.kairo_metrics.model.batch import Writer
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.scrape.collector import Limits, collect
from lib.kairo_metrics.scrape.decode import SeriesDecoder
from lib.kairo_metrics.store.command_flow import run_flow
from lib.kairo_metrics.store.redis_store import RedisStore
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.instance import JOBS, Instance, Start, nonzero_samples, page, samples, settings
from tests.support.proxy import Proxy

OLD = Schema("wait_seconds", "histogram", ("queue",), ("0.1", "1.0", "5.0", "+Inf"), help="Old.")
NEW = Schema("wait_seconds", "histogram", ("queue",), ("0.2", "1.0", "+Inf"), help="New.")
ROOM = Schema("heat", "gauge", ("room",), mode="mostrecent", help="Heat.")


class Deployment:
    """Stores increments at chosen times, under chosen schemas and shards."""

    def __init__(self, **changes: Any) -> None:
        self.settings: Settings = settings(**changes)
        self.now_ms = int(time.time() * 1000)
        self.store = MemoryStore(self.settings, lambda: self.now_ms)
        self._writers = 0

    def count(self, schema: Schema, text: str, *amounts: tuple[int, float], shard: int = 0) -> None:
        """Let a new instance of that shard add amounts to one series, a second after the last."""
        self.now_ms += 1_000
        self._writers += 1
        recorder = Recorder()
        with recorder.lock:
            for index, amount in amounts:
                if schema.rule == "latest":
                    recorder.replace(PendingSeries(schema, text), amount)
                else:
                    recorder.add(PendingSeries(schema, text), index, amount)
        batch = Outbox(recorder, 1).next()
        assert batch is not None
        with self.store.sync_client() as link:
            run_flow(self.store.apply(Writer(f"w{self._writers}", shard), batch), link)


async def test_shards_are_added_up() -> None:
    """Instances on different shards count into one total."""
    cms = Deployment(shards=3)
    for shard in range(3):
        cms.count(JOBS, 'queue="a"', (1, shard + 1.5), shard=shard)
    cms.count(JOBS, 'queue="b"', (1, 1.0), shard=2)
    assert await samples(cms.store, "jobs") == {'jobs_total{queue="a"}': 7.5, 'jobs_total{queue="b"}': 1}


async def test_the_newest_setting_wins_over_all_shards() -> None:
    """A gauge shows what was set last, on whichever shard."""
    cms = Deployment(shards=2)
    cms.count(ROOM, 'room="a"', (1, 20.0), shard=1)
    cms.count(ROOM, 'room="a"', (1, 18.5), shard=0)
    assert await samples(cms.store, "heat") == {'heat{room="a"}': 18.5}


async def test_other_buckets_come_under_the_newest_ones() -> None:
    """A rolling deploy that changes buckets loses no count and no sum."""
    cms = Deployment()
    cms.count(OLD, 'queue="a"', (1, 12.0), (2, 1), (3, 2), (4, 4), (5, 8))
    cms.count(NEW, 'queue="a"', (1, 0.5), (2, 10), (4, 20))
    cms.count(OLD, 'queue="b"', (1, 3.0), (4, 1))
    assert await samples(cms.store, 'wait_seconds_bucket{queue="a"') == {
        'wait_seconds_bucket{queue="a",le="0.2"}': 11,
        'wait_seconds_bucket{queue="a",le="1.0"}': 13,
        'wait_seconds_bucket{queue="a",le="+Inf"}': 45,
    }
    assert await samples(cms.store, "wait_seconds_sum") == {
        'wait_seconds_sum{queue="a"}': 12.5,
        'wait_seconds_sum{queue="b"}': 3,
    }


async def test_other_label_names_stand_side_by_side() -> None:
    """Series of the old label names stay until they are stale; nothing goes down."""
    cms = Deployment()
    cms.count(JOBS, 'queue="a"', (1, 2))
    cms.count(Schema("jobs", "counter", ("kind", "queue"), help="More."), 'kind="x",queue="a"', (1, 3))
    assert await samples(cms.store, "jobs") == {'jobs_total{queue="a"}': 2, 'jobs_total{kind="x",queue="a"}': 3}


async def test_another_type_stands_beside_the_first_where_both_can_be_printed() -> None:
    """A name that changed its type is shown as both in the plain text, and as what it is now in OpenMetrics."""
    cms = Deployment()
    cms.count(JOBS, 'queue="a"', (1, 2))
    cms.count(Schema("jobs", "gauge", ("queue",), mode="sum", help="Now a gauge."), 'queue="a"', (1, 3))
    assert await samples(cms.store, "jobs") == {'jobs{queue="a"}': 3, 'jobs_total{queue="a"}': 2}
    scrape = await collect(cms.store, Limits(3600), extras=Extras(strict=True))
    assert [family.schema.type for family in scrape.page.families if family.schema.name == "jobs"] == ["gauge"]


async def test_a_gauge_that_is_merged_in_another_way_serves_the_newest() -> None:
    """After a change of `multiprocess_mode` the page is valid and shows the new numbers."""
    for before, after in (("sum", "mostrecent"), ("mostrecent", "sum")):
        cms = Deployment()
        for mode in (before, after):
            for labels in ('room="a"', f'room="{mode}"'):
                cms.count(Schema("heat", "gauge", ("room",), mode=mode, help="Heat."), labels, (1, 5.0))
        assert await samples(cms.store, "heat") == {'heat{room="a"}': 5, f'heat{{room="{after}"}}': 5}


async def test_a_type_that_was_taken_back_is_served_again() -> None:
    """After a rollback the family comes back, once the wrong version is no longer started."""
    cms = Deployment()
    cms.count(JOBS, 'queue="a"', (1, 2))
    cms.count(Schema("jobs", "gauge", ("queue",), mode="sum", help="A mistake."), 'queue="a"', (1, 3))
    cms.now_ms += 10 * 60 * 1000
    cms.count(JOBS, 'queue="a"', (1, 1))
    scrape = await collect(cms.store, Limits(3600), extras=Extras(strict=True))
    assert [family.schema.type for family in scrape.page.families if family.schema.name == "jobs"] == ["counter"]


BARE = Schema("wait_seconds", "histogram", (), OLD.bounds, help="Bare.")


@pytest.mark.parametrize(("first", "second"), [(OLD, BARE), (BARE, OLD)])
async def test_labels_that_come_or_go_leave_the_page_valid(first: Schema, second: Schema) -> None:
    """A metric that gets its first label, or loses its last, is on the page in both forms."""
    cms = Deployment()
    for schema in (first, second):
        cms.count(schema, 'queue="a"' if schema.labelnames else "", (1, 0.5), (3, 1))
    kinds = ("counter", ("kind",)), ("counter", ())
    for kind, names in kinds if first is OLD else reversed(kinds):
        cms.count(Schema("boots", kind, names, help="Boots."), 'kind="x"' if names else "", (1, 2))
    scrape = await collect(cms.store, Limits(3600))
    for form, parse in ((text, parse_text), (openmetrics, parse_openmetrics)):
        families = {family.name: family for family in parse(b"".join(form.render(scrape.page.families)).decode())}
        assert [sample.value for sample in families["boots"].samples] == [2, 2]
        assert sorted(len(sample.labels) for sample in families["wait_seconds"].samples) == [
            0,
            0,
            1,
            1,
            *[1] * 4,
            *[2] * 4,
        ]


async def test_names_that_clash_cost_the_later_family_only() -> None:
    """The page stays valid when two deployments use one sample name in two families."""
    cms = Deployment()
    cms.count(JOBS, 'queue="a"', (1, 2))
    cms.count(Schema("jobs_total", "gauge", ("queue",), mode="sum", help="Clash."), 'queue="a"', (1, 3))
    cms.count(Schema("kairo_series", "gauge", (), mode="sum", help="Ours."), "", (1, 3))
    scrape = await collect(cms.store, Limits(3600))
    page = b"".join(openmetrics.render(scrape.page.families)).decode()
    assert list(parse_openmetrics(page))
    assert 'jobs_total{queue="a"} 2' in page
    assert 'kairo_clashing_schemas{family="jobs_total",other="jobs",reason="name"} 1' in page
    assert 'kairo_clashing_schemas{family="kairo_series",other="kairo_series",reason="type"} 1' in page
    assert 'kairo_quarantined_fields{family="jobs_total"} 0' in page


async def test_a_help_text_that_is_no_unicode_does_not_spoil_the_page() -> None:
    """A lone surrogate in a documentation string is replaced."""
    cms = Deployment()
    cms.count(Schema("odd", "counter", (), help="h\ud800"), "", (1, 1))
    assert "# HELP odd_total h\ufffd" in await page(cms.store)


async def test_stale_series_leave_the_page() -> None:
    """A series that no instance has written for `series_ttl_s` is gone, and the others stay."""
    cms = Deployment()
    cms.count(JOBS, 'queue="old"', (1, 1))
    cms.now_ms += 3_600_000
    cms.count(JOBS, 'queue="new"', (1, 1))
    assert await samples(cms.store, "jobs") == {'jobs_total{queue="new"}': 1}


async def test_only_the_named_families_are_read() -> None:
    """A scrape that asks for one family reads one family."""
    cms = Deployment()
    cms.count(JOBS, 'queue="a"', (1, 1))
    cms.count(OLD, 'queue="a"', (1, 1), (2, 1))
    scrape = await collect(cms.store, Limits(3600), frozenset({"jobs_total"}))
    assert "wait_seconds" not in {family.schema.name for family in scrape.page.families}
    assert "jobs" in {family.schema.name for family in scrape.page.families}


async def test_what_has_not_happened_stands_at_zero() -> None:
    """Losses, overflows and outcomes are on the page before the first one, so that the first one can be seen."""
    cms = Deployment(max_series=1)
    cms.count(JOBS, 'queue="a"', (1, 1))
    assert await samples(cms.store, "kairo_samples_lost_total") == {
        'kairo_samples_lost_total{family="jobs"}': 0,
        'kairo_samples_lost_total{family="kairo_batches"}': 0,
        'kairo_samples_lost_total{family="kairo_samples_overflowed"}': 0,
    }
    assert await samples(cms.store, "kairo_batches_total") == {
        'kairo_batches_total{outcome="applied"}': 1,
        'kairo_batches_total{outcome="duplicate"}': 0,
        'kairo_batches_total{outcome="lost"}': 0,
        'kairo_batches_total{outcome="replayed"}': 0,
    }
    assert (await samples(cms.store, "kairo_series"))['kairo_series{family="kairo_batches"}'] == 4
    cms.count(JOBS, 'queue="b"', (1, 1))
    assert await nonzero_samples(cms.store, "kairo_samples_overflowed_total") == {
        'kairo_samples_overflowed_total{family="jobs"}': 1
    }
    assert await samples(cms.store, "kairo_max_series") == {"kairo_max_series": 1}


async def test_a_family_of_the_user_is_not_filled_up_with_zeros() -> None:
    """A user's metric with the name of one of ours keeps its own series."""
    cms = Deployment()
    cms.count(Schema("kairo_samples_lost", "gauge", ("queue",), mode="sum", help="Theirs."), 'queue="a"', (1, 7))
    assert (await samples(cms.store, "kairo_samples_lost"))['kairo_samples_lost{queue="a"}'] == 7
    scrape = await collect(cms.store, Limits(3600), extras=Extras(strict=True))
    [theirs] = [family for family in scrape.page.families if family.schema.name == "kairo_samples_lost"]
    assert dict(theirs.series) == {b'queue="a"': b"7"}


async def many_series(start: Start, redis_url: str) -> Instance:
    """Let an instance deliver more series than one request returns to a store that has not read them yet."""
    instance = start(redis_url)
    for number in range(3_000):
        instance.add(f'queue="{number}"')
    await instance.flusher.aflush()
    return instance


async def test_a_scrape_that_fails_between_two_trips_leaves_no_reply_behind(
    start: Start, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection that its next reply is due on is closed at once, so that no other caller reads that reply."""
    instance = await many_series(start, redis_url)
    expected = await samples(start(redis_url).store, "jobs")

    def fail(_: SeriesDecoder, items: list[bytes]) -> None:
        raise ValueError(f"{len(items)} words")

    with monkeypatch.context() as patched:
        patched.setattr(SeriesDecoder, "add_chunk", fail)
        with pytest.raises(ValueError, match="words") as failed:
            await collect(instance.store, Limits(3600))
    # The error is still held, and with it every frame of the scrape that was not closed.
    assert failed.value.__traceback__ is not None
    assert idle_connections(instance) == [(0, False)]
    assert await samples(instance.store, "jobs") == expected
    assert len(expected) == 3_000


async def test_a_scrape_that_is_cut_off_leaves_no_reply_behind(start: Start, proxy: Proxy) -> None:
    """After a time limit in the middle of a read, the next scrape on the same store reads its own replies."""
    instance = await many_series(start, proxy.url)
    expected = await samples(start(proxy.url).store, "jobs")
    proxy.lose_reply(to=b"HSCAN", then_cut=False)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await collect(instance.store, Limits(3600))
    assert idle_connections(instance) == [(0, False)]
    assert await samples(instance.store, "jobs") == expected


def idle_connections(instance: Instance) -> list[tuple[int, bool]]:
    """Give the connections that the next caller may borrow: how many replies are due, and whether it is open."""
    assert isinstance(instance.store, RedisStore)
    [pool] = instance.store._pools()
    idle = pool._idle[asyncio.get_running_loop()]
    return [
        (node._unread, bool(node._connection.is_connected)) for client in idle for node in client._connections.values()
    ]
