"""What is charged, from published price lists; the only place that holds prices. They change: read the source again.

Left out, because a number was not found on a public page: what one of Redis Cloud's plans allows in commands
a second, and how ElastiCache Serverless turns a script's time into the units that it charges.
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
    """What so many units of something cost.

    Args:
        what: the thing.
        dollars: for all these units.
        units: how many.
        unit: what is charged for.
        source: where it stands.
        seen: when it stood there.
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
    """What a month costs, whatever is sent.

    Args:
        what: the plan.
        dollars: for a month.
        commands_per_s: the most that it allows.
        memory_gb: the most that it holds.
        traffic_gb: the most that a month may carry.
        source: where it stands.
        seen: when it stood there.
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
    "2026-05, as others quote it",
)
