"""`make scaling`: its simulation compared with known results, its measurements, and its prices."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest
import redis

from benchmarks.scaling.__main__ import _parser
from benchmarks.scaling.costs import BatchCost, by_size, measure_memory
from benchmarks.scaling.model import Load, Outcome, quantile, simulate
from benchmarks.scaling.money import Use, bills
from benchmarks.scaling.prices import (
    LAMBDA_MEMORY,
    UPSTASH_COMMANDS,
    UPSTASH_PLANS,
    UPSTASH_TRAFFIC,
    VERCEL_CPU,
    VERCEL_MEMORY,
)
from benchmarks.scaling.reality import compare
from benchmarks.scaling.sender import Sender
from lib.kairo_metrics import Settings
from lib.kairo_metrics.store.keys import Keys
from tests.support.dev_server import REPOSITORY

SERVICE_S = [0.0, 0.001, 0.0012, 0.0014]
CALM = Load(instances=50, requests_per_s=400.0, round_trip_s=0.01, seconds=10.0)


def test_a_request_alone_waits_for_the_network_and_for_its_batch() -> None:
    """An instance with few requests sends a command for each, and waits no longer than the round trip and the batch."""
    load = Load(instances=1, requests_per_s=0.5, round_trip_s=0.01, seconds=2_000.0)
    outcome = simulate(load, SERVICE_S)
    assert outcome.requests_per_batch == pytest.approx(1.0, abs=0.02)
    assert statistics.mean(outcome.waits_s) == pytest.approx(0.01 + 0.001, rel=0.03)
    assert outcome.busy[0] == pytest.approx(outcome.batches * 0.001 / 2_000.0, rel=0.02)


def test_no_request_is_lost_or_invented() -> None:
    """Every request that was pending or ended is delivered or still pending."""
    for uneven in (False, True):
        outcome = simulate(Load(20, 900.0, shards=3, seconds=3.0, uneven=uneven), SERVICE_S)
        before, after, _ = outcome.pending
        assert before + outcome.ended == outcome.delivered + after
        assert outcome.delivered == len(outcome.waits_s) > 2_000


def test_littles_law_holds() -> None:
    """The average number of waiting requests is their rate times the average wait."""
    outcome = simulate(CALM, SERVICE_S)
    rate = outcome.delivered / CALM.seconds
    assert outcome.pending[2] == pytest.approx(rate * statistics.mean(outcome.waits_s), rel=0.02)


def test_a_server_s_queue_is_as_long_as_theory_says() -> None:
    """With many independent instances, a shard is an M/D/1 queue, and has the mean wait of one."""
    busy, took_s = 0.7, 0.001
    outcome = simulate(Load(20_000, busy / took_s, round_trip_s=1e-6, seconds=40.0), [0.0, took_s])
    assert outcome.busy[0] == pytest.approx(busy, rel=0.03)
    queued_s = busy * took_s / (2 * (1 - busy))
    assert statistics.mean(outcome.flushes_s) == pytest.approx(took_s + queued_s, rel=0.05)


def test_a_busy_instance_sends_one_batch_after_another() -> None:
    """Group commit: one round trip carries all requests that ended during the round trip before."""
    outcome = simulate(Load(1, 5_000.0, round_trip_s=0.01, seconds=5.0), [0.0, 0.001, 0.001])
    assert outcome.batches / 5.0 == pytest.approx(1 / 0.011, rel=0.02)
    assert outcome.requests_per_batch == pytest.approx(5_000 * 0.011, rel=0.02)
    assert quantile(outcome.waits_s, 1.0) <= 2 * (0.015 + 0.001)


def test_more_shards_share_the_work() -> None:
    """With four times as many shards, each is a fourth as busy; with too few shards, they are busy all the time."""
    one, four = (simulate(Load(400, 400.0, shards=shards, seconds=5.0), SERVICE_S) for shards in (1, 4))
    assert statistics.mean(four.busy) == pytest.approx(one.busy[0] / 4, rel=0.1)
    few = simulate(Load(400, 4_000.0, seconds=2.0), SERVICE_S)
    assert few.busy[0] == pytest.approx(1.0, abs=0.01)
    assert few.late(0.1) > 0.9


def test_costs_are_interpolated_and_extrapolated() -> None:
    """The simulation can use batches of sizes that were not measured."""
    costs = [BatchCost(size, 0, 0, 0, 0, server_s) for size, server_s in ((1, 1.0), (2, 2.0), (4, 3.0))]
    assert by_size(costs, lambda cost: cost.server_s) == [0.0, 1.0, 2.0, 2.5, 3.0]
    outcome = simulate(Load(1, 100.0, round_trip_s=1e-6, seconds=1_000.0, warm_up_s=0.0), [0.0, 0.01, 0.02])
    assert outcome.busy[0] == pytest.approx(1.0, abs=0.01)


def test_an_instance_of_the_measurement_delivers_what_it_records(redis_url: str, redis_client: redis.Redis) -> None:
    """The measurement uses real batches: they arrive in the chosen shard, and are applied."""
    sender = Sender(Settings(enabled=True, redis_url=redis_url, shards=3), routes=2, number=7, shard=2)
    for _ in range(3):
        sender.traffic.request()
        sender.send()
        sender.receive()
    sender.close()
    index = redis_client.hgetall(Keys("development", 2).families)
    assert index[b"batches"] == b"3"
    assert sender.series > sender.families > 3
    assert sender.sent_bytes > 1_000
    memory = measure_memory(redis_url, routes=2)
    assert memory.series > 2 * 4 * 4
    assert 50 < memory.series_bytes < 1_000
    assert 50 < memory.writer_bytes < 1_000


def test_the_simulation_is_compared_with_real_flushers(redis_url: str) -> None:
    """Fifty flushers deliver to a real Redis, and both sides have the same three numbers."""
    compared = compare(redis_url, 2, [0.0, 0.0001, 0.00015], seconds=0.5)
    assert [what for what, *_ in compared.rows] == ["batches/s", "requests per batch", "mean wait, ms"]
    assert all(predicted > 0 and measured > 0 for _, predicted, measured in compared.rows)
    assert compared.load.round_trip_s > 0.05
    assert 1 <= compared.factor < 100


def outcome_of(commands_per_s: int, wait_s: float) -> Outcome:
    """Return an outcome of one second with one command for each request."""
    waits_s = [wait_s] * commands_per_s
    return Outcome(commands_per_s, commands_per_s, (0, 0, 0.0), waits_s, waits_s, [0.5])


def test_a_bill_is_what_the_price_list_says() -> None:
    """The price of a million requests, with a command for each, equals the price calculated by hand."""
    load, use = Load(10, 1_000.0, seconds=1.0), Use(30.0, 0.5, 0.0005, 2.0)
    by_command, traffic, small, *_, memory, cpu, duration = bills(load, outcome_of(1_000, 0.002), use)
    assert by_command.dollars == pytest.approx(UPSTASH_COMMANDS.dollars * 10)
    assert traffic.dollars == pytest.approx(UPSTASH_TRAFFIC.dollars * 0.03)
    assert small.dollars == pytest.approx(UPSTASH_PLANS[0].dollars / (1_000 * 365.25 * 86_400 / 12 / 1e6))
    assert memory.dollars == pytest.approx(VERCEL_MEMORY.dollars * 1e6 * 0.002 * 2.0 / 3_600)
    assert cpu.dollars == pytest.approx(VERCEL_CPU.dollars * 1e6 * 0.0005 / 3_600)
    assert duration.dollars == pytest.approx(LAMBDA_MEMORY.dollars * 1e6 * 0.002 * 2.0)


def test_an_offer_that_does_not_allow_the_load_has_no_bill() -> None:
    """A plan that does not allow the commands per second, the memory or the traffic shows that instead of a price."""
    small, large = UPSTASH_PLANS[0], UPSTASH_PLANS[-1]
    for commands_per_s, use, why in (
        (20_000, Use(1.0, 0.5, 0.0005, 2.0), f"20000 commands/s; it allows {small.commands_per_s}"),
        (100, Use(1.0, 5.0, 0.0005, 2.0), "5 GB of memory; it allows 1"),
        (100, Use(1_600.0, 0.5, 0.0005, 2.0), "421 GB of traffic a month; it allows 100"),
    ):
        by_command, _, *plans = bills(Load(9, commands_per_s, seconds=1.0), outcome_of(commands_per_s, 0.002), use)[:5]
        assert (plans[0].dollars, plans[0].why) == (None, why)
        assert (by_command.dollars is None) == (commands_per_s > small.commands_per_s)
        assert (plans[-1].dollars is None) == (commands_per_s > large.commands_per_s)


def test_a_bad_argument_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """An argument that makes no sense is refused before the simulation starts."""
    for argument, value in (("--instances", "0"), ("--requests-per-s", "many"), ("--round-trip-ms", "-1")):
        with pytest.raises(SystemExit):
            _parser().parse_args([argument, value])
        assert f"argument {argument}: must be" in capsys.readouterr().err


def test_prices_stand_in_one_place() -> None:
    """A price is changed in one place: no document and no other module of the benchmark repeats it."""
    texts = [REPOSITORY / "docs/scaling.md", *(REPOSITORY / "benchmarks/scaling").glob("*.py")]
    for text in texts:
        if text.name != "prices.py":
            for amount in ("0.0106", "0.128", "0.0000166667", "0.20 per"):
                assert amount not in Path(text).read_text(), text
