"""Prices from published price lists. They change: check the source before you rely on one. No other module has prices.

Two offers are left out because no public page has the number: the commands per second that a plan of Redis Cloud
allows, and the units that ElastiCache Serverless charges for the time of a script.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "LAMBDA_MEMORY",
    "UPSTASH_COMMANDS",
    "UPSTASH_PLANS",
    "UPSTASH_TRAFFIC",
    "VERCEL_CPU",
    "VERCEL_MEMORY",
    "Plan",
    "Price",
]


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a number of units.

    Args:
        what: the thing that is charged.
        dollars: the price of all these units.
        units: the number of units.
        unit: the name of the unit.
        source: the address of the price list.
        seen: when the price was read there.
    """

    what: str
    dollars: float
    units: int
    unit: str
    source: str
    seen: str

    def of(self, amount: float) -> float:
        """Return the dollars for an amount of units."""
        return amount * self.dollars / self.units


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan with a fixed price per month.

    Args:
        what: the name of the plan.
        dollars: the price of a month.
        commands_per_s: the most commands per second.
        memory_gb: the most memory.
        traffic_gb: the most traffic in a month.
        source: the address of the price list.
        seen: when the price was read there.
    """

    what: str
    dollars: float
    commands_per_s: int
    memory_gb: float
    traffic_gb: float
    source: str
    seen: str


_UPSTASH = "https://upstash.com/docs/redis/overall/billing"
UPSTASH_COMMANDS = Price("Upstash, pay as you go", 0.20, 100_000, "commands", _UPSTASH, "2026-09")
UPSTASH_TRAFFIC = Price("Upstash, traffic above 200 GB a month", 0.03, 1_000_000_000, "bytes", _UPSTASH, "2026-09")
UPSTASH_PLANS = (
    Plan("Upstash, fixed 1 GB", 20.0, 10_000, 1.0, 100.0, _UPSTASH, "2026-09"),
    Plan("Upstash, fixed 50 GB", 400.0, 10_000, 50.0, 5_000.0, _UPSTASH, "2026-09"),
    Plan("Upstash, fixed 500 GB", 1_500.0, 16_000, 500.0, 20_000.0, _UPSTASH, "2026-09"),
)
_VERCEL = "https://vercel.com/docs/fluid-compute/pricing"
VERCEL_MEMORY = Price(
    "Vercel, memory of an instance (iad1)", 0.0106, 3_600, "GB-seconds", _VERCEL, "in a copy without a date"
)
VERCEL_CPU = Price("Vercel, active CPU (iad1)", 0.128, 3_600, "seconds", _VERCEL, "in a copy without a date")
LAMBDA_MEMORY = Price(
    "AWS Lambda, duration (x86, us-east-1)",
    0.0000166667,
    1,
    "GB-second",
    "https://aws.amazon.com/lambda/pricing/",
    "2026-05, quoted on other pages",
)
