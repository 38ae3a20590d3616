"""Deleting what a namespace holds, while its instances go on counting.

What was counted before is gone and does not come back: the records of deliveries stay, so that no instance takes the
wiped state for one that has lost batches, and sends them again. Its next batch is told that its families are unknown;
it announces them, and what is counted from then on is there. The state gets another name: if it went back in time just
before, whoever serves the page still knows what it held, and must not add that again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ...errors import StoreError, StoreRefused
from ...model.batch import State
from ...model.delivery_metrics import OVERFLOWED
from ...model.recovery import Recovery
from ...model.schema import exemplars_field
from ..command_flow import Command, SyncTransport, T
from ..keys import Keys
from ..snapshot_replies import STATE_FIELDS
from .stored_key import StoredKey, key_pattern, read_key

__all__ = ["FamilyDeletion", "Plan", "erase", "plan_wipe"]

_KEYS_PER_SCAN = 1_000
_KEYS_PER_TRIP = 50
# How often somebody is told how far it is.
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class FamilyDeletion:
    """One family under one schema in one shard, which is to go.

    Args:
        shard: where it is.
        index_field: its place in the index; it may be missing there, and so may its key.
        series: how many its key holds.
        stored: whether there is a key.
    """

    shard: int
    index_field: str
    series: int
    stored: bool

    @property
    def name(self) -> str:
        """The family's name."""
        return self.index_field.rpartition(" ")[0] or self.index_field


@dataclass(frozen=True, slots=True)
class Plan:
    """What a wipe deletes.

    Args:
        namespace: whose.
        families: what goes together with its entry in the index.
        others: keys that go as they are.
        kept: how many records of deliveries stay.
    """

    namespace: str
    families: tuple[FamilyDeletion, ...] = ()
    others: tuple[StoredKey, ...] = ()
    kept: int = 0

    @property
    def keys(self) -> int:
        """How many keys are deleted."""
        return sum(doomed.stored for doomed in self.families) + len(self.others)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.families and not self.others


class WholeStore(SyncTransport, Protocol):
    """A link that can be asked for its parts."""

    def parts(self) -> Sequence[SyncTransport]:
        """Return links whose keys together are all."""


def plan_wipe(
    client: WholeStore,
    namespace: str,
    names: Collection[str] = (),
    *,
    records: bool = False,
    on_progress: OnProgress = lambda _done, _total: None,
) -> Plan:
    """Look for what is there; nothing is deleted.

    Args:
        link: to the server.
        namespace: whose keys.
        names: families' names; all that there is when empty.
        records: whether the records of deliveries go as well, which no running instance survives without harm.
        on_progress: told how many keys of the whole server have been looked at, and of how many.

    Raises:
        StoreError: the server could not be asked.
    """
    keys = list(_find(client, namespace, on_progress))
    stored = {(key.shard, key.index_field): key for key in keys if key.index_field}
    indexed: list[tuple[int, str]] = []
    others = [key for key in keys if not key.index_field and key.kind not in {"families", "writer"}]
    kept = [key for key in keys if key.kind in {"families", "writer"}]
    for index in [key for key in kept if key.kind == "families"]:
        [fields] = client.call(("HKEYS", index.text))
        if isinstance(fields, StoreError):
            _raise_unless_foreign(fields)
            kept.remove(index)
            others.append(index)
        else:
            indexed += [(index.shard, _text(field)) for field in fields if field not in STATE_FIELDS]
    places = sorted({*stored, *indexed})
    # Exemplars have a key of their own, and are no series.
    beside = {(shard, exemplars_field(field)) for shard, field in places}
    counts = _count(client, [stored[place].text for place in places if place in stored and place not in beside])
    families = [
        FamilyDeletion(
            shard,
            field,
            counts.get(stored[shard, field].text, 0) if (shard, field) in stored else 0,
            (shard, field) in stored,
        )
        for shard, field in places
    ]
    if names:
        return Plan(namespace, tuple(doomed for doomed in families if doomed.name in names), (), len(kept))
    # The entry of this family alone says nothing of the past; without it nobody would see what is counted there next.
    families = [doomed for doomed in families if doomed.stored or doomed.index_field != OVERFLOWED.index_field]
    if records:
        return Plan(namespace, tuple(families), (*others, *kept), 0)
    return Plan(namespace, tuple(families), tuple(others), len(kept))


def erase(client: SyncTransport, plan: Plan, on_progress: OnProgress = lambda _done, _total: None) -> None:
    """Delete what the plan says, each family together with its entry in the index.

    Args:
        link: to the server.
        plan: what to delete.
        on_progress: told how much of the plan is done, and of how much.

    Raises:
        StoreError: the server could not be asked, or refused; what was deleted before that is gone.
    """
    total = len(plan.families) + len(plan.others)
    done = 0
    shards = {key.shard for key in plan.others} | {doomed.shard for doomed in plan.families}
    for shard in sorted(shards):
        keys = Keys(plan.namespace, shard)
        # These first: a foreign key in the place of the index would be in the way of the families.
        for others in _parts([key for key in plan.others if key.shard == shard]):
            _raise_refusals(client.call(("UNLINK", *(_bytes(key.text) for key in others))))
            done += len(others)
            on_progress(done, total)
        for part in _parts([doomed for doomed in plan.families if doomed.shard == shard]):
            entries = [_bytes(doomed.index_field) for doomed in part if doomed.index_field != OVERFLOWED.index_field]
            commands: list[Command] = [("HDEL", keys.families, *entries)] if entries else []
            commands += [("UNLINK", *(_bytes(keys.series_at(doomed.index_field)) for doomed in part))]
            # Together, so that no batch finds a family announced and its series gone, or the other way round.
            _raise_refusals(client.call(("MULTI",), *commands, *_rename(client, keys), ("EXEC",)))
            done += len(part)
            on_progress(done, total)


def _rename(client: SyncTransport, keys: Keys) -> list[Command]:
    """Return what lets a state begin anew, if there is one; nothing that an instance knows of is lost with that."""
    clock, name = client.call(("TIME",), ("HGET", keys.families, "incarnation"))
    _raise_refusals([clock, name])
    if name is None:
        return []
    known = State(name.decode(errors="replace"))
    begun = Recovery.name_after("wiped", known, known, int(clock[0]) * 1000 + int(clock[1]) // 1000)
    return [("HSET", keys.families, "incarnation", begun), ("HDEL", keys.families, "recovery")]


def _find(client: WholeStore, namespace: str, on_progress: OnProgress) -> Iterator[StoredKey]:
    parts = client.parts()
    sizes = [size for part in parts for size in part.call(("DBSIZE",))]
    total = sum(size for size in sizes if not isinstance(size, StoreError))  # it is only for the progress
    looked_at = 0
    seen: set[bytes] = set()
    for part in parts:
        cursor = b"0"
        while True:
            [reply] = part.call(("SCAN", cursor, "MATCH", key_pattern(namespace), "COUNT", _KEYS_PER_SCAN))
            _raise_refusals([reply])
            cursor, found = reply
            for key in found:
                known = read_key(namespace, key)
                # SCAN may bring one twice, and a slot that moves is found in two places.
                if known is not None and key not in seen:
                    seen.add(key)
                    yield known
            looked_at += _KEYS_PER_SCAN
            on_progress(min(looked_at, total), total)
            if cursor == b"0":
                break


def _count(client: SyncTransport, keys: Sequence[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for part in _parts(keys):
        for key, reply in zip(part, client.call(*(("HLEN", _bytes(key)) for key in part)), strict=True):
            if isinstance(reply, StoreError):
                _raise_unless_foreign(reply)
            else:
                counts[key] = reply
    return counts


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + _KEYS_PER_TRIP] for start in range(0, len(items), _KEYS_PER_TRIP))


def _raise_refusals(replies: Sequence[Any]) -> None:
    """Raise the first error, also one within the reply to EXEC, where it comes as redis-py's own."""
    for reply in replies:
        if isinstance(reply, StoreError):
            raise reply
        if isinstance(reply, Exception):
            raise StoreRefused(f"Redis: {reply}")
        if isinstance(reply, list):
            _raise_refusals(reply)


def _raise_unless_foreign(err: StoreError) -> None:
    if "WRONGTYPE" not in str(err):
        raise err


def _text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
