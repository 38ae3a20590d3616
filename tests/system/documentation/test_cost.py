"""docs/cost.md: its prices are those of the price list, and a page costs as many commands as it says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
import redis
from prometheus_client import Counter

from benchmarks.scaling.prices import UPSTASH_COMMANDS, UPSTASH_PLANS
from lib.kairo_metrics import aflush, metrics_app
from lib.kairo_metrics.delivery.process_pipeline import close_pipeline, open_pipeline
from lib.kairo_metrics.instruments.recorder import RECORDER
from lib.kairo_metrics.store.redis_store import RedisStore
from tests.support.adopted import adopted_registry
from tests.support.dev_server import REPOSITORY
from tests.support.instance import settings

PAGE = (REPOSITORY / "docs" / "cost.md").read_text()
SCRAPES_A_MONTH = 30 * 24 * 3600 // 30
# What is not billed: docs/redis.md has the source.
FREE = {"info", "ping", "auth", "hello", "client", "select", "config"}


def billed(client: redis.Redis) -> int:
    """Return how many commands have been sent that a host bills for."""
    statistics: Mapping[str, Any] = client.info("commandstats")
    names = {name.removeprefix("cmdstat_").partition("|")[0]: row["calls"] for name, row in statistics.items()}
    return sum(calls for name, calls in names.items() if name not in FREE)


def row(first: str) -> list[str]:
    """Return the cells of the row of a table that begins with these words."""
    [line] = [line for line in PAGE.splitlines() if line.startswith(f"| {first}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_example_is_computed_from_the_prices() -> None:
    """The commands and the dollars follow from the number of requests, families and scrapes."""
    assert f"${UPSTASH_COMMANDS.dollars:.2f} for {UPSTASH_COMMANDS.units:,} commands" in PAGE
    requests, scrapes = 1_000_000, (3 + 20) * SCRAPES_A_MONTH
    for first, commands in (("requests", requests), ("scrapes", scrapes), ("both", requests + scrapes)):
        assert row(first)[1:] == [f"{commands:,}", f"${UPSTASH_COMMANDS.of(commands):.2f}"], first
    assert f"${UPSTASH_COMMANDS.of(1_000_000):.2f} where each command is billed" in PAGE
    plan = UPSTASH_PLANS[0]
    limits = f"for {plan.commands_per_s:,} commands a second and {plan.traffic_gb:.0f} GB of traffic"
    assert f"${plan.dollars:.0f} a month, {limits}" in " ".join(PAGE.split())


def test_the_measured_numbers_are_those_of_their_pages() -> None:
    """What a cold start, a request and a series take is as in the outputs of the commands that measure it."""
    cold, scaling = ((REPOSITORY / "docs" / name).read_text() for name in ("cold-start.md", "scaling.md"))
    [slow, fast] = (float(ratio) for ratio in re.findall(r"wrapped in instrument\(\) .* ([\d.]+) x", cold))
    assert slow - 1 == pytest.approx(1 / 4, abs=0.05)
    assert fast - 1 == pytest.approx(1 / 7, abs=0.05)
    assert "| a quarter longer, a seventh with precompiled bytecode |" in PAGE
    assert re.search(r"costs Redis\s+82 µs", scaling)
    for amount in re.findall(r"series in each of \d+ shards +(\d+) bytes|kept for an hour +(\d+) bytes", scaling):
        assert f"{''.join(amount)} bytes for" in PAGE


async def test_a_page_costs_a_command_for_each_family_and_three_more(redis_url: str, redis_client: redis.Redis) -> None:
    """One for the time, one for the number of shards, one for the shard, and one for each family of a small system."""
    RECORDER.forget()
    close_pipeline()
    chosen = settings(redis_url, auth_tokens=("t",))
    store = RedisStore(chosen)
    open_pipeline(chosen, store)
    registry = adopted_registry()
    for number in range(5):
        Counter(f"cost_{number}", "One of five.", registry=registry).inc()
    assert await aflush()
    transport = httpx.ASGITransport(metrics_app(settings=chosen, store=store))
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as client:
        headers = {"Authorization": "Bearer t"}
        assert (await client.get("/api/metrics", headers=headers)).status_code == 200
        before = billed(redis_client)
        assert (await client.get("/api/metrics", headers=headers)).status_code == 200
    page = billed(redis_client) - before
    await store.aclose()
    close_pipeline()
    [index] = redis_client.keys("*:families")
    families = [field for field in redis_client.hkeys(index) if b" " in field]  # other fields are about the state
    assert len(families) >= 6
    assert page == 3 + len(families)
