"""Deleting the metrics of a namespace while its instances go on counting.

The records of delivery stay, so that no instance takes the wiped state for one that has lost batches, and sends them
again. The verdict on an instance's next batch is `unannounced`: it announces its families again, and they count from
zero. The state gets a new name: if it went back in time just before, the process that serves the page still remembers
what the state held, and must not add it again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from ...errors import StoreError, StoreRefused
from ...model.batch import State
from ...model.delivery_metrics import OVERFLOWED
from ...model.recovery import Recovery
from ...model.schema import exemplars_field, name_and_id
from ..command_flow import Command
from ..keys import Keys
from ..snapshot_replies import STATE_FIELDS
from ..transports import SyncTransport
from .stored_key import StoredKey, key_pattern, read_key

__all__ = ["DeletionPlan", "FamilyDeletion", "delete", "plan_deletion"]

T = TypeVar("T")
_KEYS_PER_SCAN = 1_000
_KEYS_PER_COMMAND = 50
# Called with how much is done, and of how much.
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class FamilyDeletion:
    """One family under one schema in one shard, to be deleted.

    Args:
        shard: the shard that holds it.
        index_field: its field in the families index; the field may be missing there, and so may its key.
        series: how many series its key holds.
        stored: whether its key exists.
    """

    shard: int
    index_field: str
    series: int
    stored: bool

    @property
    def name(self) -> str:
        """The family's name."""
        return name_and_id(self.index_field)[0] or self.index_field


@dataclass(frozen=True, slots=True)
class DeletionPlan:
    """What is deleted from a namespace.

    Args:
        namespace: the namespace.
        families: families, each deleted together with its entry in the index.
        others: further keys.
        kept: how many records of delivery stay.
    """

    namespace: str
    families: tuple[FamilyDeletion, ...] = ()
    others: tuple[StoredKey, ...] = ()
    kept: int = 0

    @property
    def keys(self) -> int:
        """How many keys are deleted."""
        return sum(family.stored for family in self.families) + len(self.others)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.families and not self.others


class NodesTransport(SyncTransport, Protocol):
    """A transport that also reaches each node by itself."""

    def nodes(self) -> Sequence[SyncTransport]:
        """Return a transport to each node; together they reach all keys."""


def plan_deletion(
    client: NodesTransport,
    namespace: str,
    names: Collection[str] = (),
    *,
    records: bool = False,
    on_progress: OnProgress = lambda _done, _total: None,
) -> DeletionPlan:
    """Find what there is to delete; nothing is deleted.

    Args:
        client: of the server.
        namespace: the namespace.
        names: the names of the families to delete; all if empty.
        records: whether to delete the records of delivery as well; running instances then repeat their last batches.
        on_progress: called with how many keys of the whole server have been examined, and of how many.

    Raises:
        StoreError: the server could not be reached, or refused.
    """
    keys = list(_stored_keys(client, namespace, on_progress))
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
    # Exemplars have keys of their own, and are not counted as series.
    exemplars = {(shard, exemplars_field(field)) for shard, field in places}
    counts = _count_series(
        client, [stored[place].text for place in places if place in stored and place not in exemplars]
    )
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
        return DeletionPlan(namespace, tuple(family for family in families if family.name in names), (), len(kept))
    # The store counts overflowed updates itself, and shows them only while this family has an entry in the index.
    families = [family for family in families if family.stored or family.index_field != OVERFLOWED.index_field]
    if records:
        return DeletionPlan(namespace, tuple(families), (*others, *kept), 0)
    return DeletionPlan(namespace, tuple(families), tuple(others), len(kept))


def delete(client: SyncTransport, plan: DeletionPlan, on_progress: OnProgress = lambda _done, _total: None) -> None:
    """Delete what is in the plan, each family together with its entry in the index.

    Args:
        client: of the server.
        plan: what to delete.
        on_progress: called with how much of the plan is done, and of how much.

    Raises:
        StoreError: the server could not be reached, or refused; a part may have been deleted by then.
    """
    total = len(plan.families) + len(plan.others)
    done = 0
    shards = {key.shard for key in plan.others} | {family.shard for family in plan.families}
    for shard in sorted(shards):
        keys = Keys(plan.namespace, shard)
        # These first: if the key of the index holds another type, no family can be removed from it.
        for others in _in_parts([key for key in plan.others if key.shard == shard]):
            _raise_refusals(client.call(("UNLINK", *(_bytes(key.text) for key in others))))
            done += len(others)
            on_progress(done, total)
        for part in _in_parts([family for family in plan.families if family.shard == shard]):
            entries = [_bytes(family.index_field) for family in part if family.index_field != OVERFLOWED.index_field]
            commands: list[Command] = [("HDEL", keys.families, *entries)] if entries else []
            commands += [("UNLINK", *(_bytes(keys.series_at(family.index_field)) for family in part))]
            # In one transaction, so that no batch finds a family in the index without its series, or its series alone.
            _raise_refusals(client.call(("MULTI",), *commands, *_rename(client, keys), ("EXEC",)))
            done += len(part)
            on_progress(done, total)


def _rename(client: SyncTransport, keys: Keys) -> list[Command]:
    """Return the commands that give the state, if there is one, a new name and end its recovery."""
    clock, name = client.call(("TIME",), ("HGET", keys.families, "incarnation"))
    _raise_refusals([clock, name])
    if name is None:
        return []
    state = State(name.decode(errors="replace"))
    new_name = Recovery.name_after("wiped", state, state, int(clock[0]) * 1000 + int(clock[1]) // 1000)
    return [("HSET", keys.families, "incarnation", new_name), ("HDEL", keys.families, "recovery")]


def _stored_keys(client: NodesTransport, namespace: str, on_progress: OnProgress) -> Iterator[StoredKey]:
    nodes = client.nodes()
    sizes = [size for node in nodes for size in node.call(("DBSIZE",))]
    total = sum(size for size in sizes if not isinstance(size, StoreError))  # only for the progress
    examined = 0
    seen: set[bytes] = set()
    for node in nodes:
        cursor = b"0"
        while True:
            [reply] = node.call(("SCAN", cursor, "MATCH", key_pattern(namespace), "COUNT", _KEYS_PER_SCAN))
            _raise_refusals([reply])
            cursor, names = reply
            for name in names:
                key = read_key(namespace, name)
                # SCAN may return a key twice, and two nodes may hold the keys of a slot that is being moved.
                if key is not None and name not in seen:
                    seen.add(name)
                    yield key
            examined += _KEYS_PER_SCAN
            on_progress(min(examined, total), total)
            if cursor == b"0":
                break


def _count_series(client: SyncTransport, keys: Sequence[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for part in _in_parts(keys):
        for key, reply in zip(part, client.call(*(("HLEN", _bytes(key)) for key in part)), strict=True):
            if isinstance(reply, StoreError):
                _raise_unless_foreign(reply)
            else:
                counts[key] = reply
    return counts


def _in_parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + _KEYS_PER_COMMAND] for start in range(0, len(items), _KEYS_PER_COMMAND))


def _raise_refusals(replies: Sequence[Any]) -> None:
    """Raise the first error, also one inside the reply to EXEC, which is an error of redis-py."""
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
