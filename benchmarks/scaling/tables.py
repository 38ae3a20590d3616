"""The results of the simulation as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.scaling.costs import BatchCost, Memory, Scraped
from benchmarks.scaling.model import Load, Outcome, quantile
from benchmarks.scaling.money import Bill
from benchmarks.scaling.prices import (
    LAMBDA_MEMORY,
    UPSTASH_COMMANDS,
    UPSTASH_PLANS,
    UPSTASH_TRAFFIC,
    VERCEL_CPU,
    VERCEL_MEMORY,
)
from benchmarks.scaling.reality import Comparison

__all__ = [
    "OUTCOME_HEADS",
    "batch_table",
    "bill_table",
    "comparison_table",
    "memory_lines",
    "node_table",
    "outcome_row",
    "scrape_table",
    "source_lines",
    "table",
]

OUTCOME_HEADS = ("busiest", "idlest", "wait p50 ms", "p99 ms", "commands/s", "requests each", "per million", "late")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format rows as a table, with columns aligned to the right.

    Example:
        >>> print(table(["shards", "busy"], [["1", "70 %"]]))
          shards  busy
               1  70 %
    """
    rows = [list(heads), *map(list, rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    return "\n".join(
        "  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    )


def batch_table(costs: Sequence[BatchCost]) -> str:
    """Format the cost of a batch by its size."""
    return table(
        ["requests", "families", "series", "bytes sent", "script µs", "server µs", "µs per request"],
        (
            [
                str(cost.requests),
                f"{cost.families:.1f}",
                f"{cost.series:.1f}",
                f"{cost.sent_bytes:.0f}",
                f"{cost.script_s * 1e6:.0f}",
                f"{cost.server_s * 1e6:.0f}",
                f"{cost.server_s * 1e6 / cost.requests:.0f}",
            ]
            for cost in costs
        ),
    )


def memory_lines(memory: Memory, shards: int, instances: int, records: int) -> str:
    """Format the memory of all servers; every shard may hold every series."""
    parts = (
        (f"{memory.series} series in each of {shards} shards", shards * memory.series, memory.series_bytes),
        (f"{records} records of instances, kept for an hour", records, memory.writer_bytes),
        (f"{instances} connections", instances, memory.connection_bytes),
    )
    lines = [f"  {what:<48}{each:9.0f} bytes each{count * each / 1e6:9.1f} MB" for what, count, each in parts]
    return "\n".join([*lines, f"  {'all together':<48}{'':20}{sum(n * each for _, n, each in parts) / 1e6:9.1f} MB"])


def comparison_table(compared: Comparison) -> str:
    """Format the predicted and the measured numbers."""
    return table(
        ["", "predicted", "measured", "ratio"],
        (
            [what, f"{predicted:.2f}", f"{measured:.2f}", f"{predicted / measured:.2f}"]
            for what, predicted, measured in compared.rows
        ),
    )


def outcome_row(load: Load, outcome: Outcome, budget_s: float) -> list[str]:
    """Format the outcome of one simulation as a row under `OUTCOME_HEADS`."""
    return [
        f"{max(outcome.busy):.0%}",
        f"{min(outcome.busy):.0%}",
        f"{quantile(outcome.waits_s, 0.5) * 1e3:.1f}",
        f"{quantile(outcome.waits_s, 0.99) * 1e3:.1f}",
        f"{outcome.batches / load.seconds:.0f}",
        f"{outcome.requests_per_batch:.2f}",
        f"{outcome.commands_per_million:.0f}",
        f"{outcome.late(budget_s):.2%}",
    ]


def scrape_table(scraped: Sequence[tuple[int, Scraped]], series: int) -> str:
    """Format the cost of a scrape by the number of shards."""
    return table(
        ["shards", "series read", "page kB", "ms", "ms of all servers"],
        (
            [
                str(shards),
                str(shards * series),
                f"{one.size / 1e3:.0f}",
                f"{one.seconds * 1e3:.0f}",
                f"{one.server_s * 1e3:.1f}",
            ]
            for shards, one in scraped
        ),
    )


def node_table(rows: Iterable[tuple[int, int, float]]) -> str:
    """Format the load of the busiest node of a cluster."""
    return table(
        ["nodes", "shards", "busiest"], ([str(nodes), str(shards), f"{busy:.0%}"] for nodes, shards, busy in rows)
    )


def bill_table(bills: Iterable[Bill]) -> str:
    """Format the price of a million requests."""
    return "\n".join(
        f"  {bill.what:<40}{'not allowed' if bill.dollars is None else f'$ {bill.dollars:.4f}':>12}   {bill.why}"
        for bill in bills
    )


def source_lines() -> str:
    """Format the prices with their sources."""
    plans = (f"  {plan.what}: $ {plan.dollars:g} a month; {plan.source}, seen {plan.seen}" for plan in UPSTASH_PLANS)
    prices = (
        f"  {price.what}: $ {price.dollars:g} per {price.units} {price.unit}; {price.source}, seen {price.seen}"
        for price in (UPSTASH_COMMANDS, UPSTASH_TRAFFIC, VERCEL_MEMORY, VERCEL_CPU, LAMBDA_MEMORY)
    )
    return "\n".join([*prices, *plans])
