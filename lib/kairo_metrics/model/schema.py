"""A family's schema: what its numbers mean, and how they stand in the store.

A series is one hash field. Its name is the label text, ready to print; its value is a packed line:

    <number> ... <number> <created ms> <touched ms>

A counter has one number, a summary two (count, sum), a histogram its sum and its buckets (not cumulative).
A gauge of the mode "sum" has four: the sum of the finite values, and how many instances hold +Inf, -Inf and NaN.
What is set and not added up has its value and the time it was set, in ms: every other gauge, an enum (the
number of its state, from 0), an info and an exemplar (words, see `notation`). A native histogram has the seven
words of `native`. Both times at the end are the
server's and always 13 digits, so that they can be cut off and compared without parsing.

The shape of a line has a letter for each of its numbers, by which readers and `apply.lua` tell damage:

    a any number    f finite    g at least 0, or +Inf    w whole, at least 0    i whole    x a word
    s, z, b         of a native histogram: schema, zero threshold, buckets of one side
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b, sha1
from typing import Literal

from .encoding import label_text, printable

__all__ = ["ENDED", "INSTANCE_LABEL", "OVERFLOW", "Rule", "Schema", "exemplars_field", "is_per_instance"]

Rule = Literal["sum", "latest", "native", "word"]

# Tells instances apart in a gauge whose values are each instance's own.
INSTANCE_LABEL = "instance_id"
# Stands there for all instances that have ended.
ENDED = "__ended__"
# Stands in every label for the label sets that a family has no room for.
OVERFLOW = "__overflow__"

_CHECK_DIGITS = 8

_OWN_VALUE_MODES = frozenset({"all", "liveall", "min", "livemin", "max", "livemax", "livesum", "livemostrecent"})


@dataclass(frozen=True, slots=True)
class Schema:
    """What a family's numbers mean; two schemas of one name never share a hash.

    Args:
        name: the family's name, a counter's without `_total`.
        type: counter, gauge, histogram, native (a native histogram), summary, info, stateset, or the exemplars of
            one of them.
        labelnames: sorted; with `instance_id` where each instance has a value of its own.
        bounds: a histogram's upper bounds as canonical `le` text, ending in `+Inf`; of a native one, those under which
            it is shown to scrapers that take no other.
        mode: a gauge's `multiprocess_mode`.
        states: of a stateset, in their order.
        of: of exemplars, the id of the schema that they belong to.
        help: the documentation line; not part of the identity.
        unit: not part of the identity.

    Example:
        >>> Schema("jobs", "counter", ("queue",)).overflow_text
        'queue="__overflow__"'
    """

    name: str
    type: str
    labelnames: tuple[str, ...] = ()
    bounds: tuple[str, ...] = ()
    mode: str = ""
    states: tuple[str, ...] = ()
    of: str = ""
    help: str = field(default="", compare=False)
    unit: str = field(default="", compare=False)
    id: str = field(init=False, compare=False)
    rule: Rule = field(init=False, compare=False)
    shape: str = field(init=False, compare=False)
    per_instance: bool = field(init=False, compare=False)
    index_field: str = field(init=False, compare=False)
    overflow_text: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Derive once what every batch and scrape asks for.

        `id` is a digest of what gives the numbers their meaning; `rule` says how two lines of one series
        become one, `shape` what numbers a line holds, `per_instance` whether each instance has a line of its
        own; `index_field` is the family's place in the index, `overflow_text` the label text that takes what is
        past the cap.
        """
        # A lone surrogate would be in the way of every page from then on.
        object.__setattr__(self, "help", printable(self.help))
        identity = json.dumps([self.type, self.labelnames, self.bounds, self.mode, self.states, self.of]).encode()
        digest = blake2b(identity, digest_size=8).hexdigest()
        rule = _rule(self.type, self.mode)
        derived = {
            "id": digest,
            "rule": rule,
            "shape": _shape(self.type, rule, len(self.bounds)),
            "per_instance": is_per_instance(self.mode),
            "index_field": f"{printable(self.name)} {digest}".replace("\n", r"\n"),
            "overflow_text": label_text(self.labelnames, [OVERFLOW] * len(self.labelnames)),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    @property
    def exemplars(self) -> Schema:
        """The schema of its exemplars: a word for each, under the index of its number and the label text."""
        return _exemplars(self.name, self.id)

    def metadata(self) -> str:
        """The schema as JSON, for the families index; at its end what tells the script that it was not spoilt."""
        told = json.dumps(
            {
                "name": self.name,
                "type": self.type,
                "labels": self.labelnames,
                "bounds": self.bounds,
                "mode": self.mode,
                "states": self.states,
                "of": self.of,
                "help": self.help,
                "unit": self.unit,
            }
        ).removesuffix("}")
        check = sha1(f"{self.index_field}{told}".encode(), usedforsecurity=False).hexdigest()
        return f'{told}, "check": "{check[:_CHECK_DIGITS]}"}}'


@lru_cache(maxsize=4096)
def _exemplars(name: str, of: str) -> Schema:
    return Schema(name, "exemplars", of=of)


def exemplars_field(index_field: str) -> str:
    """Return the place in the index of the exemplars of what stands in that place.

    Example:
        >>> schema = Schema("wait", "counter")
        >>> exemplars_field(schema.index_field) == schema.exemplars.index_field
        True
    """
    name, _, digest = index_field.rpartition(" ")
    return _exemplars(name, digest).index_field


def _rule(typ: str, mode: str) -> Rule:
    if typ in {"exemplars", "info"}:
        return "word"
    if typ == "native":
        return "native"
    return "latest" if typ == "stateset" or mode == "mostrecent" or mode in _OWN_VALUE_MODES else "sum"


def _shape(typ: str, rule: Rule, bounds: int) -> str:
    if typ == "histogram":
        return "a" + bounds * "w"
    if rule == "sum":
        return {"counter": "g", "summary": "wa"}.get(typ, "fiii")
    return {"native": "awwszbb", "word": "xi"}.get(rule, "ai")


def is_per_instance(mode: str) -> bool:
    """Tell whether in this `multiprocess_mode` each instance has a value of its own in the store."""
    return mode in _OWN_VALUE_MODES
