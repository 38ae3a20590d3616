"""What stands in the store: key names, a family's schema, label text and packed lines.

A series is one hash field. Its name is the label text, ready to print; its value is a packed line:

    <number> ... <number> <created ms> <touched ms>

A counter has one number, a summary two (count, sum), a histogram its sum and its buckets (not cumulative).
A gauge of the mode "sum" has four: the sum of the finite values, and how many instances hold +Inf, -Inf and NaN.
What is set and not added up has its value and the time it was set, in ms: every other gauge, an enum (the
number of its state, from 0) and an info (a word, see `info_word`). Both times at the end are the server's and
always 13 digits, so that they can be cut off and compared without parsing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal
from urllib.parse import quote, unquote_to_bytes

__all__ = [
    "ENDED",
    "INSTANCE_LABEL",
    "TIMES_WIDTH",
    "Keys",
    "Rule",
    "Schema",
    "StoredKey",
    "info_text",
    "info_word",
    "is_classic",
    "is_per_instance",
    "key_pattern",
    "label_text",
    "labels_of",
    "number_text",
    "pack_line",
    "read_key",
]

Rule = Literal["sum", "latest", "word"]

# " 1764000000000 1764000000001" at the end of every packed line
TIMES_WIDTH = 28

# Tells instances apart in a gauge whose values are each instance's own.
INSTANCE_LABEL = "instance_id"
# Stands there for all instances that have ended.
ENDED = "__ended__"

_OWN_VALUE_MODES = frozenset({"all", "liveall", "min", "livemin", "max", "livemax", "livesum", "livemostrecent"})
_TYPES = frozenset({"counter", "gauge", "histogram", "info", "stateset", "summary"})
_KEY = re.compile(r"kairo:v1:\{(?P<namespace>[^/{}]+)/(?P<shard>[0-9]+)\}:(?P<rest>.+)", re.DOTALL)
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)')
_ESCAPED = re.compile(r"\\(.)")
_OVERFLOW = "__overflow__"
_SAFE_IN_A_WORD = '="\\,/:;.+-_{}()[]@'
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
# Prometheus takes a NUL for the end of the page; a lone surrogate has no UTF-8 form.
_UNPRINTABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Keys:
    """The key names of one shard; one hash tag, so that a batch touches one cluster slot.

    Example:
        >>> Keys("production", 0).families
        'kairo:v1:{production/0}:families'
    """

    namespace: str
    shard: int

    @property
    def _prefix(self) -> str:
        return f"kairo:v1:{{{self.namespace}/{self.shard}}}"

    @property
    def families(self) -> str:
        return f"{self._prefix}:families"

    @property
    def probe(self) -> str:
        """A key that is never made: what may be done with it tells what may be done with the others."""
        return f"{self._prefix}:probe"

    def writer(self, writer_id: str) -> str:
        return f"{self._prefix}:writer:{writer_id}"

    def series(self, schema: Schema) -> str:
        return self.series_at(schema.index_field)

    def series_at(self, index_field: str) -> str:
        return f"{self._prefix}:series:{index_field.replace(' ', ':')}"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key that was found in the server, taken apart.

    Args:
        text: all of it.
        shard: whose it is.
        kind: `families`, `series`, `writer`, or whatever else stands there.
        index_field: for series, their family's place in the index.
    """

    text: str
    shard: int
    kind: str
    index_field: str = ""


def key_pattern(namespace: str) -> str:
    """Return the pattern for SCAN that finds a namespace's keys; no namespace has a letter that patterns obey."""
    return f"kairo:v1:{{{namespace}/*}}:*"


def read_key(namespace: str, key: bytes) -> StoredKey | None:
    """Take a key apart; None where it is not one of the namespace.

    Example:
        >>> read_key("blue", b"kairo:v1:{blue/3}:series:jobs:00ff").index_field
        'jobs 00ff'
    """
    text = key.decode(errors="surrogateescape")
    found = _KEY.fullmatch(text)
    if found is None or found["namespace"] != namespace:
        return None
    kind, _, rest = found["rest"].partition(":")
    name, _, schema_id = rest.rpartition(":")
    return StoredKey(text, int(found["shard"]), kind, f"{name} {schema_id}" if kind == "series" and name else "")


@dataclass(frozen=True, slots=True)
class Schema:
    """What a family's numbers mean; two schemas of one name never share a hash.

    Args:
        name: the family's name, a counter's without `_total`.
        type: counter, gauge, histogram, summary, info or stateset.
        labelnames: sorted; with `instance_id` where each instance has a value of its own.
        bounds: a histogram's upper bounds as canonical `le` text, ending in `+Inf`.
        mode: a gauge's `multiprocess_mode`.
        states: of a stateset, in their order.
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
    help: str = field(default="", compare=False)
    unit: str = field(default="", compare=False)
    id: str = field(init=False, compare=False)
    rule: Rule = field(init=False, compare=False)
    width: int = field(init=False, compare=False)
    per_instance: bool = field(init=False, compare=False)
    index_field: str = field(init=False, compare=False)
    overflow_text: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Derive once what every batch and scrape asks for.

        `id` is a digest of what gives the numbers their meaning; `rule` says how two lines of one series
        become one, `width` how many numbers a line holds, `per_instance` whether each instance has a line of its
        own; `index_field` is the family's place in the index, `overflow_text` the label text that takes what is
        past the cap.
        """
        # A lone surrogate would be in the way of every page from then on.
        object.__setattr__(self, "help", _UNPRINTABLE.sub("\ufffd", self.help))
        identity = json.dumps([self.type, self.labelnames, self.bounds, self.mode, self.states]).encode()
        digest = blake2b(identity, digest_size=8).hexdigest()
        rule = _rule(self.type, self.mode)
        derived = {
            "id": digest,
            "rule": rule,
            "width": _width(self.type, rule, len(self.bounds)),
            "per_instance": is_per_instance(self.mode),
            "index_field": f"{self.name} {digest}",
            "overflow_text": label_text(self.labelnames, [_OVERFLOW] * len(self.labelnames)),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def metadata(self) -> str:
        """The schema as JSON, for the families index."""
        return json.dumps(
            {
                "name": self.name,
                "type": self.type,
                "labels": self.labelnames,
                "bounds": self.bounds,
                "mode": self.mode,
                "states": self.states,
                "help": self.help,
                "unit": self.unit,
            }
        )

    @classmethod
    def from_metadata(cls, text: str | bytes) -> Schema:
        """Read what `metadata` wrote.

        Raises:
            ValueError: the text is not a schema.
        """
        try:
            read = json.loads(text)
            schema = cls(
                name=_text(read["name"]),
                type=_text(read["type"]),
                labelnames=tuple(map(_text, read["labels"])),
                bounds=tuple(map(_text, read["bounds"])),
                mode=_text(read["mode"]),
                states=tuple(map(_text, read["states"])),
                help=_text(read["help"]),
                unit=_text(read["unit"]),
            )
            bounds = [float(bound) for bound in schema.bounds]
        except (KeyError, TypeError) as err:
            raise ValueError(f"not a schema: {err!r}") from err
        if schema.type not in _TYPES:
            raise ValueError(f"not a metric type: {schema.type!r}")
        if not is_classic(schema.name, schema.labelnames):
            raise ValueError(f"not a metric name with label names: {schema.name!r} {schema.labelnames!r}")
        if schema.type == "histogram" and (bounds != sorted(set(bounds)) or schema.bounds[-1:] != ("+Inf",)):
            raise ValueError(f"not the bounds of a histogram: {schema.bounds!r}")
        return schema


def _rule(typ: str, mode: str) -> Rule:
    if typ == "info":
        return "word"
    return "latest" if typ == "stateset" or mode == "mostrecent" or mode in _OWN_VALUE_MODES else "sum"


def _width(typ: str, rule: Rule, bounds: int) -> int:
    if typ == "histogram":
        return bounds + 1
    if typ == "gauge" and rule == "sum":
        return 4
    return 1 if typ == "counter" else 2


_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def is_classic(name: str, labelnames: Iterable[str]) -> bool:
    """Tell whether names are of the letters that every Prometheus takes."""
    return bool(_NAME.fullmatch(name)) and all(map(_LABEL_NAME.fullmatch, labelnames))


def is_per_instance(mode: str) -> bool:
    """Tell whether in this `multiprocess_mode` each instance has a value of its own in the store."""
    return mode in _OWN_VALUE_MODES


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def label_text(names: Sequence[str], values: Iterable[str]) -> str:
    r"""Print labels as they stand between the braces of an exposition line.

    Args:
        names: label names, sorted.
        values: one for each name.

    Example:
        >>> label_text(["path"], ['say "hi"\n'])
        'path="say \\"hi\\"\\n"'
    """
    return ",".join([f'{name}="{_printable(value)}"' for name, value in zip(names, values, strict=True)])


def labels_of(text: str) -> dict[str, str]:
    r"""Read what `label_text` printed.

    Example:
        >>> labels_of('path="say \\"hi\\"\\n",way="a"')
        {'path': 'say "hi"\n', 'way': 'a'}
    """
    return {
        name: _ESCAPED.sub(lambda escape: "\n" if escape[1] == "n" else escape[1], value)
        for name, value in _LABEL.findall(text)
    }


def _printable(value: str) -> str:
    return _UNPRINTABLE.sub("\ufffd", value).translate(_ESCAPES)


def info_word(labels: Mapping[str, object]) -> str:
    """Print what an info says as one word without spaces.

    Example:
        >>> info_word({"version": "1 beta"})
        '=version="1%20beta"'
    """
    text = label_text(sorted(labels), [str(labels[name]) for name in sorted(labels)])
    return "=" + quote(text, safe=_SAFE_IN_A_WORD)


def info_text(word: bytes) -> bytes:
    """Return the label text in such a word.

    Example:
        >>> info_text(b'=version="1%20beta"')
        b'version="1 beta"'
    """
    return unquote_to_bytes(word[1:])


def number_text(number: float) -> str:
    """Print a float so that it reads back exactly, as short as 15 or 17 digits allow.

    Example:
        >>> number_text(0.1), number_text(3.0), number_text(float("inf"))
        ('0.1', '3', '+Inf')
    """
    if number != number:  # noqa: PLR0124  the one test for NaN that needs no import
        return "NaN"
    if number in (float("inf"), float("-inf")):
        return "+Inf" if number > 0 else "-Inf"
    short = f"{number:.15g}"
    return short if float(short) == number else f"{number:.17g}"


def pack_line(numbers: Iterable[float | str], created_ms: int, touched_ms: int) -> bytes:
    """Build a packed line of numbers and words.

    Example:
        >>> pack_line([3, 0.25], 1764000000000, 1764000000001)
        b'3 0.25 1764000000000 1764000000001'
    """
    words = [number if isinstance(number, str) else number_text(number) for number in numbers]
    return f"{' '.join(words)} {created_ms:013d} {touched_ms:013d}".encode()
