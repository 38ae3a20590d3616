"""A family's schema: what its numbers mean, and how they are stored.

A series is one field of a hash. The field's name is the label text, ready to print; its value is a packed line:

    <number> ... <number> <created ms> <touched ms>

A counter has one number, a summary two (count, sum), a histogram its sum and its buckets (not cumulative).
A gauge of the mode "sum" has four: the sum of the finite values, and how many instances hold +Inf, -Inf and NaN.
Values that are set, and not added up, have the value and the time when it was set, in ms: all other gauges, enums
(the number of the state, from 0), infos and exemplars (as words, see `encoding`). A native histogram has the seven
words of `native_counts`. Both times at the end are by the server's clock. They always have 13 digits, so they can be
cut off and compared without parsing.

The shape of a line has a letter for each of its numbers. Readers and `apply.lua` use it to recognise damaged lines:

    a any number    f finite    g at least 0, or +Inf    w whole, at least 0    i whole    x text
    s, z, b         of a native histogram: schema, zero threshold, buckets of one side
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b, sha1
from typing import Literal

from .encoding import label_text, printable

__all__ = ["ENDED", "INSTANCE_LABEL", "OVERFLOW", "Rule", "Schema", "exemplars_field", "is_per_instance", "name_and_id"]

Rule = Literal["sum", "latest", "native", "word"]

# The label that identifies the instance in a gauge with a value for each instance.
INSTANCE_LABEL = "instance_id"
# Its value for all instances that have ended.
ENDED = "__ended__"
# The value of every label in the series for label sets that a family has no room for.
OVERFLOW = "__overflow__"

_CHECK_DIGITS = 8

_OWN_VALUE_MODES = frozenset({"all", "liveall", "min", "livemin", "max", "livemax", "livesum", "livemostrecent"})


@dataclass(frozen=True, slots=True)
class Schema:
    """What a family's numbers mean. Two schemas with the same name are stored in different hashes.

    Args:
        name: the family's name; a counter's is without `_total`.
        type: counter, gauge, histogram, native (a native histogram), summary, info, stateset, or exemplars.
        labelnames: sorted; with `instance_id` if each instance has a value of its own.
        bounds: a histogram's upper bounds as canonical `le` text, ending in `+Inf`; for a native histogram, those for
            scrapers that read classic buckets only.
        mode: a gauge's `multiprocess_mode`.
        states: the states of a stateset, in order.
        of: for exemplars, the id of the schema that they belong to.
        help: the HELP text; not part of the identity.
        unit: the unit; not part of the identity.

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
        """Compute once what every batch and every scrape needs.

        `id` is a digest of the identity; `rule` is how two lines of one series are merged, `shape` which numbers a line
        holds, `per_instance` whether each instance has a line of its own; `index_field` is the family's field in the
        families index, and `overflow_text` the label text of its overflow series.
        """
        # A lone surrogate cannot be encoded, and would break every page.
        object.__setattr__(self, "help", printable(self.help))
        identity = json.dumps([self.type, self.labelnames, self.bounds, self.mode, self.states, self.of]).encode()
        digest = blake2b(identity, digest_size=8).hexdigest()
        rule = _rule(self.type, self.mode)
        derived = {
            "id": digest,
            "rule": rule,
            "shape": _shape(self.type, rule, len(self.bounds)),
            "per_instance": is_per_instance(self.mode),
            "index_field": _index_field(printable(self.name), digest),
            "overflow_text": label_text(self.labelnames, [OVERFLOW] * len(self.labelnames)),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    @property
    def exemplars(self) -> Schema:
        """The schema of its exemplars; each is a word, under the index of its number and the label text."""
        return _exemplars(self.name, self.id)

    def metadata(self) -> str:
        """The schema as JSON, for the families index; a check at its end lets the script recognise damage."""
        text = json.dumps(
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
        check = sha1(f"{self.index_field}{text}".encode(), usedforsecurity=False).hexdigest()
        return f'{text}, "check": "{check[:_CHECK_DIGITS]}"}}'


@lru_cache(maxsize=4096)
def _exemplars(name: str, of: str) -> Schema:
    return Schema(name, "exemplars", of=of)


def _index_field(name: str, schema_id: str) -> str:
    # The script ends a field at a line break. No name has a NUL, so no other name gets this field.
    return f"{name} {schema_id}".replace("\n", "\0")


def name_and_id(index_field: str) -> tuple[str, str]:
    r"""Return the name and the schema id from which an index field was built.

    Args:
        index_field: a family's.

    Example:
        >>> name_and_id(Schema("jobs done", "counter").index_field)
        ('jobs done', 'abdf76a4e45daa63')
    """
    name, _, schema_id = index_field.rpartition(" ")
    return name.replace("\0", "\n"), schema_id


def exemplars_field(index_field: str) -> str:
    """Return the index field of the exemplars of a family.

    Args:
        index_field: the family's.

    Example:
        >>> schema = Schema("wait", "counter")
        >>> exemplars_field(schema.index_field) == schema.exemplars.index_field
        True
    """
    return _exemplars(*name_and_id(index_field)).index_field


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
    """Tell whether each instance has a value of its own in the store, in this `multiprocess_mode`."""
    return mode in _OWN_VALUE_MODES
