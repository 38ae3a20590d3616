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
from functools import lru_cache
from hashlib import blake2b, sha1
from typing import Any, Final, Literal

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

_PARTS = ("name", "type", "labelnames", "bounds", "mode", "states", "of", "help", "unit")


class Schema:
    """What a family's numbers mean. Two schemas with the same name are stored in different hashes.

    It is no dataclass: making a frozen one of so many fields takes a millisecond of every cold start.

    Args:
        name: the family's name; a counter's is without `_total`.
        type: counter, gauge, histogram, native (a native histogram), summary, info, stateset, or exemplars. On a page
            there are also gaugehistogram and unknown, of collectors.
        labelnames: sorted; with `instance_id` if each instance has a value of its own.
        bounds: a histogram's upper bounds as canonical `le` text, ending in `+Inf`; for a native histogram, those for
            scrapers that read classic buckets only; the quantiles of a collector's summary.
        mode: a gauge's `multiprocess_mode`.
        states: the states of a stateset, in order.
        of: for exemplars, the id of the schema that they belong to.
        help: the HELP text; not part of the identity.
        unit: the unit; not part of the identity.

    Attributes:
        id: a digest of the identity.
        rule: how two lines of one series are merged.
        shape: which numbers a line holds.
        per_instance: whether each instance has a line of its own.
        index_field: the family's field in the families index.
        overflow_text: the label text of its overflow series.

    Example:
        >>> Schema("jobs", "counter", ("queue",)).overflow_text
        'queue="__overflow__"'
    """

    __slots__ = (
        "_identity",
        "bounds",
        "help",
        "id",
        "index_field",
        "labelnames",
        "mode",
        "name",
        "of",
        "overflow_text",
        "per_instance",
        "rule",
        "shape",
        "states",
        "type",
        "unit",
    )

    def __init__(  # noqa: PLR0913, PLR0917  a schema has that many parts
        self,
        name: str,
        type: str,  # noqa: A002  the field's name
        labelnames: tuple[str, ...] = (),
        bounds: tuple[str, ...] = (),
        mode: str = "",
        states: tuple[str, ...] = (),
        of: str = "",
        help: str = "",  # noqa: A002
        unit: str = "",
    ) -> None:
        self.name: Final = name
        self.type: Final = type
        self.labelnames: Final = labelnames
        self.bounds: Final = bounds
        self.mode: Final = mode
        self.states: Final = states
        self.of: Final = of
        # A lone surrogate cannot be encoded, and would break every page.
        self.help: Final = printable(help)
        self.unit: Final = unit
        # What every batch and every scrape needs is computed once.
        self._identity: Final = name, type, labelnames, bounds, mode, states, of
        self.id: Final = blake2b(json.dumps(self._identity[1:]).encode(), digest_size=8).hexdigest()
        self.rule: Final = _rule(type, mode)
        self.shape: Final = _shape(type, self.rule, len(bounds))
        self.per_instance: Final = is_per_instance(mode)
        self.index_field: Final = _index_field(printable(name), self.id)
        self.overflow_text: Final = label_text(labelnames, [OVERFLOW] * len(labelnames))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self.index_field)  # equal schemas have the same one, and a text keeps its hash

    def __repr__(self) -> str:
        return f"Schema{self._identity!r}"

    def changed(self, **parts: Any) -> Schema:
        """Return the same schema with other parts.

        Example:
            >>> Schema("jobs", "counter", help="Jobs.").changed(name="mails").help
            'Jobs.'
        """
        return Schema(**{name: getattr(self, name) for name in _PARTS} | parts)

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
    return "latest" if typ in {"stateset", "unknown"} or mode == "mostrecent" or mode in _OWN_VALUE_MODES else "sum"


def _shape(typ: str, rule: Rule, bounds: int) -> str:
    if typ in {"gaugehistogram", "histogram"}:
        return "a" + bounds * "w"
    if typ == "summary" and bounds:
        return "aa" + bounds * "a"
    if rule == "sum":
        return {"counter": "g", "summary": "wa"}.get(typ, "fiii")
    return {"native": "awwszbb", "word": "xi"}.get(rule, "ai")


def is_per_instance(mode: str) -> bool:
    """Tell whether each instance has a value of its own in the store, in this `multiprocess_mode`."""
    return mode in _OWN_VALUE_MODES
