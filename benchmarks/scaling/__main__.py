"""`make scaling`: the shards, memory, commands and money for a load, simulated with costs measured on this machine."""

from __future__ import annotations

import argparse
import math
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from benchmarks.scaling import tables
from benchmarks.scaling.costs import by_size, measure_batches, measure_memory, measure_scrape
from benchmarks.scaling.model import Load, Outcome, simulate
from benchmarks.scaling.money import Use, bills
from benchmarks.scaling.reality import compare
from lib.kairo_metrics import Settings
from lib.kairo_metrics.dev.private_redis import private_redis
from lib.kairo_metrics.store.keys import Keys

# A server that is busy for a larger share of the time has little room for a burst, and waits grow fast.
_BUSY = 0.7
_FULL = 0.99
_LONG_S = 4.0
# The factor by which the simulation may differ from the measurement.
_FACTOR = 1.25
_LIFE_S = 900
_INSTANCE_GB = 2.0
_SMALL_LOAD = Load(instances=100, requests_per_s=500.0, seconds=20.0)


def main() -> int:
    """Measure, compare, simulate and print; return 1 if the simulation differs too much from the measurement."""
    options = _parser().parse_args()
    load = Load(options.instances, options.requests_per_s, round_trip_s=options.round_trip_ms / 1000)
    budget_s = Settings().flush_budget_ms / 1000
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores; {options.routes} routes\n")
    with private_redis() as url:
        costs = measure_batches(url, options.routes)
        service_s = by_size(costs, lambda cost: cost.server_s)
        print(f"Measured: the cost of a batch in Redis\n{tables.batch_table(costs)}\n")
        memory = measure_memory(url, options.routes)
        compared = compare(url, options.routes, service_s)
        print(
            f"Real flushers against the simulation: {compared.load.instances} instances,"
            f" {compared.load.requests_per_s:.0f} requests/s, {compared.load.round_trip_s * 1e3:.0f} ms to Redis\n"
            f"{tables.comparison_table(compared)}\n  the largest difference is a factor of {compared.factor:.2f};"
            f" {_FACTOR} is allowed\n"
        )
        needed, enough = _needed(load, service_s)
        _print_shards(load, service_s, needed, budget_s)
        _print_sharing(load, service_s, budget_s)
        work = sum(enough.busy)
        print(f"On a cluster, where hash slots place the shards on nodes\n{tables.node_table(_nodes(needed, work))}\n")
        records = round(load.instances * max(1.0, 3600 / _LIFE_S))
        print(
            f"Memory, for instances that live {_LIFE_S // 60} minutes\n"
            f"{tables.memory_lines(memory, needed, load.instances, records)}\n"
        )
        scraped = [(shards, measure_scrape(url, options.routes, shards)) for shards in (1, 4, needed, 4 * needed)]
        print(f"Measured: a scrape of {memory.series} series\n{tables.scrape_table(scraped, memory.series)}\n")
    held_gb = needed * memory.series * memory.series_bytes / 1e9
    sizes = by_size(costs, lambda cost: cost.sent_bytes)
    for some, outcome in ((_SMALL_LOAD, simulate(_SMALL_LOAD, service_s)), (replace(load, shards=needed), enough)):
        carried = min(round(outcome.requests_per_batch), len(sizes) - 1)
        use = Use(sizes[carried] / carried, held_gb, compared.client_s, _INSTANCE_GB)
        print(
            f"Dollars for a million requests at {some.requests_per_s:.0f} requests/s, {some.instances} instances of"
            f" {_INSTANCE_GB:g} GB\n{tables.bill_table(bills(some, outcome, use))}\n"
        )
    print(f"Prices (they change)\n{tables.source_lines()}")
    return compared.factor > _FACTOR


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make scaling", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--instances", type=_count, default=10_000, help="function instances (default: 10000)")
    parser.add_argument(
        "--requests-per-s",
        type=_amount,
        default=100_000.0,
        help="requests per second of all instances (default: 100000)",
    )
    parser.add_argument("--round-trip-ms", type=_amount, default=1.0, help="the round trip to Redis (default: 1)")
    parser.add_argument("--routes", type=_count, default=50, help="routes of the watched program (default: 50)")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 1_000_000:  # noqa: PLR2004 (more would take hours)
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to 1000000, not {text!r}")
    return int(text)


def _amount(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = 0.0
    if not 0 < amount <= 1e6:  # noqa: PLR2004 (the same)
        raise argparse.ArgumentTypeError(f"must be a number above 0 and at most 1000000, not {text!r}")
    return amount


def _needed(load: Load, service_s: Sequence[float]) -> tuple[int, Outcome]:
    """Return the smallest number of shards with which the busiest one is not too busy, and the outcome."""
    shards = max(1, math.ceil(load.requests_per_s * service_s[1] / _BUSY))
    while max((outcome := simulate(replace(load, shards=shards), service_s)).busy) >= _BUSY:
        shards += 1
    while shards > 1 and max((fewer := simulate(replace(load, shards=shards - 1), service_s)).busy) < _BUSY:
        shards, outcome = shards - 1, fewer
    return shards, outcome


def _print_shards(load: Load, service_s: Sequence[float], needed: int, budget_s: float) -> None:
    print(
        f"Simulated: {load.instances} instances, {load.requests_per_s:.0f} requests/s,"
        f" {load.round_trip_s * 1e3:g} ms to Redis, a server for each shard"
    )
    rows = []
    for shards in sorted({max(1, needed // 4), max(1, needed // 2), needed, 2 * needed}):
        for uneven in (False, True) if shards == needed else (False,):
            some = replace(load, shards=shards, uneven=uneven)
            title = f"{shards}, uneven" if uneven else str(shards)
            rows.append([title, *tables.outcome_row(some, _settled(some, service_s), budget_s)])
    print(tables.table(["shards", *tables.OUTCOME_HEADS], rows))
    print(f"  late: flushes that took longer than {budget_s * 1e3:.0f} ms")
    print(f"  {needed} shards are needed so that the busiest is busy for less than {_BUSY:.0%} of the time\n")


def _settled(load: Load, service_s: Sequence[float]) -> Outcome:
    """Simulate; with too few shards, simulate with a longer warm-up, because their queues grow for longer."""
    outcome = simulate(load, service_s)
    if min(outcome.busy) > _FULL:
        return simulate(replace(load, warm_up_s=_LONG_S), service_s)
    return outcome


def _print_sharing(load: Load, service_s: Sequence[float], budget_s: float) -> None:
    print("Simulated: the same requests on fewer instances, and Redis farther away")
    rows = []
    for instances, round_trip_s in (
        (load.instances, load.round_trip_s),
        (max(1, load.instances // 4), load.round_trip_s),
        (max(1, load.instances // 16), load.round_trip_s),
        (load.instances, 20 * load.round_trip_s),
        (max(1, load.instances // 16), 20 * load.round_trip_s),
    ):
        shards, outcome = _needed(some := replace(load, instances=instances, round_trip_s=round_trip_s), service_s)
        title = [str(instances), f"{round_trip_s * 1e3:g}", str(shards)]
        rows.append([*title, *tables.outcome_row(some, outcome, budget_s)])
    print(f"{tables.table(['instances', 'ms', 'shards', *tables.OUTCOME_HEADS], rows)}\n")


def _nodes(needed: int, work: float) -> Iterator[tuple[int, int, float]]:
    """Yield nodes, shards and the load of the busiest node; hash slots decide which node holds which shard."""
    for nodes in (needed, needed * 3 // 2, 2 * needed):
        for shards in (nodes, 4 * nodes, 16 * nodes):
            yield nodes, shards, work / shards * max(_held(nodes, shards))


def _held(nodes: int, shards: int) -> list[int]:
    held = [0] * nodes
    for shard in range(shards):
        slot = key_slot(Keys("production", shard).families.encode())
        held[slot * nodes // REDIS_CLUSTER_HASH_SLOTS] += 1
    return held


if __name__ == "__main__":
    sys.exit(main())
