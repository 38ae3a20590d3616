"""What a scrape makes of gauges that instances share, and of infos and enums.

Source: prometheus_client's documentation, "Multiprocess Mode"; an instance and its lease take the place of a
process and its life.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .rows import LABELS, Rows
from .store.labels import label_pairs
from .store.leases import fold_rule, residual_text, without_instance
from .store.notation import info_text, label_text, number_text
from .store.schema import Schema

__all__ = ["Resolved", "fold", "resolve"]

_LABELS = re.compile(rb"(?:" + LABELS + rb")?")


@dataclass(slots=True)
class Resolved:
    """A family's rows as they are shown.

    Args:
        rows: label text -> number.
        damaged: rows that hold nothing which can be shown.
    """

    rows: Rows = field(default_factory=dict)
    damaged: int = 0


def resolve(schema: Schema, rows: Rows) -> Resolved:
    """Make of a family's stored numbers what stands on the page.

    Args:
        schema: a gauge, info or stateset; rows of other types are as they are shown.
        rows: the stored numbers; of instances of their own only those that are to be counted.

    Example:
        >>> schema = Schema("load", "gauge", ("instance_id",), mode="livemax")
        >>> resolve(schema, {b'instance_id="a"': b"2 17", b'instance_id="b"': b"5 16"}).rows
        {b'': b'5'}
    """
    match schema.type:
        case "info":
            return _infos(schema, rows)
        case "stateset":
            return _statesets(schema, rows)
        case "gauge":
            return Resolved(_gauges(schema, rows))
    return Resolved(rows)


def _gauges(schema: Schema, rows: Rows) -> Rows:
    if schema.rule == "sum":
        return {text: _total(numbers) for text, numbers in rows.items()}
    mode = schema.mode.removeprefix("live")
    if not schema.per_instance or mode == "all":
        # The time it was set has done its work.
        return {text: numbers.split()[0] for text, numbers in rows.items()}
    groups: dict[bytes, list[bytes]] = {}
    for text, numbers in rows.items():
        groups.setdefault(without_instance(text), []).append(numbers)
    merged = {text: _ONE_OF_ALL[mode](group) for text, group in groups.items()}
    return {text: number for text, number in merged.items() if number is not None}


def fold(schema: Schema, rows: Rows, ended: Rows) -> None:
    """Bring the values of ended instances into the rows that are kept of all of them together.

    Args:
        schema: a gauge whose instances have values of their own.
        rows: the stored numbers of those that have not ended, and of what is kept of the others.
        ended: the stored numbers of those that have ended since.
    """
    rule = fold_rule(schema)
    if rule == "forget":
        return
    for text, numbers in ended.items():
        kept_as = residual_text(text)
        kept = rows.get(kept_as, numbers)
        better = {"min": min, "max": max, "latest": max}[rule]
        rows[kept_as] = better(kept, numbers, key=_set_at if rule == "latest" else _value)


def _value(numbers: bytes) -> float:
    return float(numbers.split()[0])


def _set_at(numbers: bytes) -> int:
    return int(numbers.split()[1])


def _total(numbers: bytes) -> bytes:
    finite, infinite, minus_infinite, no_number = numbers.split()
    holds = [float(count) > 0 for count in (infinite, minus_infinite, no_number)]
    if holds[2] or (holds[0] and holds[1]):
        return b"NaN"
    if holds[0] or holds[1]:
        return b"+Inf" if holds[0] else b"-Inf"
    return finite


def _lowest(group: list[bytes]) -> bytes:
    return min(group, key=_value).split()[0]


def _highest(group: list[bytes]) -> bytes:
    return max(group, key=_value).split()[0]


def _sum(group: list[bytes]) -> bytes:
    return number_text(sum(map(_value, group))).encode()


def _latest(group: list[bytes]) -> bytes | None:
    """Return the value set last; none while it never was."""
    latest = max(group, key=_set_at)
    return latest.split()[0] if _set_at(latest) else None


_ONE_OF_ALL: dict[str, Callable[[list[bytes]], bytes | None]] = {
    "min": _lowest,
    "max": _highest,
    "sum": _sum,
    "mostrecent": _latest,
}


def _infos(schema: Schema, rows: Rows) -> Resolved:
    resolved = Resolved()
    for text, numbers in rows.items():
        said = info_text(numbers.split()[0])
        if _LABELS.fullmatch(said) and _can_stand_beside(schema.labelnames, said):
            resolved.rows[_joined(text, said)] = b"1"
        else:
            resolved.damaged += 1
    return resolved


def _can_stand_beside(labelnames: Sequence[str], said: bytes) -> bool:
    """Tell whether what an info says can be printed: a label that is there twice spoils the page."""
    try:
        names = [*labelnames, *(name for name, _ in label_pairs(said.decode()))]
    except UnicodeDecodeError:
        return False
    return len(set(names)) == len(names) and {"", "__name__"}.isdisjoint(names)


def _statesets(schema: Schema, rows: Rows) -> Resolved:
    states = [label_text([schema.name], [state]).encode() for state in schema.states]
    resolved = Resolved()
    for text, numbers in rows.items():
        current = float(numbers.split()[0])
        for number, state in enumerate(states):
            resolved.rows[_joined(text, state)] = b"%d" % (number == current)
    return resolved


def _joined(*texts: bytes) -> bytes:
    return b",".join(filter(None, texts))
