"""The metrics that the pipeline keeps of itself; they are delivered and stored like all other families."""

from __future__ import annotations

from .schema import Schema

__all__ = ["BATCHES", "LOST", "OUTCOMES", "OVERFLOWED", "OWN_PREFIX", "RESTORED"]

# The names of all families about the delivery and the page begin so, and no other prefix goes before it.
OWN_PREFIX = "kairo_"

OUTCOMES = ("applied", "duplicate", "lost", "replayed")
BATCHES = Schema("kairo_batches", "counter", ("outcome",), help="Batches by what became of them.")
LOST = Schema(
    "kairo_samples_lost",
    "counter",
    ("family",),
    help="Increments, observations and settings that could not be delivered, by family.",
)
RESTORED = Schema(
    "kairo_samples_restored",
    "counter",
    ("family",),
    help="Increments and observations that the store had lost and a page had shown, by family; written back.",
)
# The store counts these: only the store knows when a family is full.
OVERFLOWED = Schema(
    "kairo_samples_overflowed",
    "counter",
    ("family",),
    help="Series updates that went to the overflow series because the family was full, by family.",
)

SCHEMAS = (BATCHES, LOST, OVERFLOWED, RESTORED)
