"""The price of a load: dollars for a million requests, from the outcome of a simulation."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from benchmarks.scaling.model import Load, Outcome
from benchmarks.scaling.prices import (
    LAMBDA_MEMORY,
    UPSTASH_COMMANDS,
    UPSTASH_PLANS,
    UPSTASH_TRAFFIC,
    VERCEL_CPU,
    VERCEL_MEMORY,
    Plan,
)

__all__ = ["Bill", "Use", "bills"]

_MONTH_S = 365.25 * 86_400 / 12
_MILLION = 1_000_000
_GB = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Bill:
    """One line of the price list.

    Args:
        what: the thing that is charged.
        dollars: the price of a million requests; None if the plan does not allow the load.
        why: how the price is calculated.
    """

    what: str
    dollars: float | None
    why: str


@dataclass(frozen=True, slots=True)
class Use:
    """What a load uses besides commands.

    Args:
        sent_bytes: the bytes that one request sends over the network.
        memory_gb: the memory of the server.
        client_s: the processor time of an instance for one request.
        instance_gb: the memory of an instance.
    """

    sent_bytes: float
    memory_gb: float
    client_s: float
    instance_gb: float


def bills(load: Load, outcome: Outcome, use: Use) -> tuple[Bill, ...]:
    """Calculate the price of the metrics of a million requests.

    Args:
        load: the load that was simulated.
        outcome: the outcome of the simulation.
        use: what the load uses besides commands.
    """
    awake_gb_s = _MILLION * statistics.mean(outcome.waits_s or [0.0]) * use.instance_gb
    commands_per_s = outcome.batches / load.seconds
    sent_bytes = _MILLION * use.sent_bytes
    return (
        _by_command(outcome, commands_per_s),
        Bill(UPSTASH_TRAFFIC.what, UPSTASH_TRAFFIC.of(sent_bytes), f"{sent_bytes / _GB:.1f} GB"),
        *(_by_month(plan, load, commands_per_s, use) for plan in UPSTASH_PLANS),
        Bill(
            VERCEL_MEMORY.what,
            VERCEL_MEMORY.of(awake_gb_s),
            "if an instance stays awake only for this flush; less if it serves other requests",
        ),
        Bill(VERCEL_CPU.what, VERCEL_CPU.of(_MILLION * use.client_s), "recording and flushing, on this machine"),
        Bill(LAMBDA_MEMORY.what, LAMBDA_MEMORY.of(awake_gb_s), "the flush is part of the duration"),
    )


def _by_command(outcome: Outcome, commands_per_s: float) -> Bill:
    allowed = UPSTASH_PLANS[0].commands_per_s
    if commands_per_s > allowed:
        return Bill(UPSTASH_COMMANDS.what, None, f"{commands_per_s:.0f} commands/s; one database allows {allowed}")
    commands = outcome.commands_per_million
    return Bill(UPSTASH_COMMANDS.what, UPSTASH_COMMANDS.of(commands), f"{commands:.0f} commands")


def _by_month(plan: Plan, load: Load, commands_per_s: float, use: Use) -> Bill:
    requests = load.requests_per_s * _MONTH_S
    for unit, wanted, allowed in (
        ("commands/s", commands_per_s, plan.commands_per_s),
        ("GB of memory", use.memory_gb, plan.memory_gb),
        ("GB of traffic a month", requests * use.sent_bytes / _GB, plan.traffic_gb),
    ):
        if wanted > allowed:
            return Bill(plan.what, None, f"{wanted:.0f} {unit}; it allows {allowed:g}")
    return Bill(
        plan.what, plan.dollars / (requests / _MILLION), f"a month of {requests / _MILLION:.0f} million requests"
    )
