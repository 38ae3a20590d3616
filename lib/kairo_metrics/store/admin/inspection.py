"""Questions about the server that an operator asks and no request: which one it is, how full, what it allows.

They are conversations: whoever holds a link to the store drives them. Nothing here writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...errors import StoreRefused, UnknownScript
from ..command_flow import Command, CommandFlow
from ..keys import Keys
from ..scripts import script_text
from ..server_info import read_info

__all__ = ["Refusal", "ServerFacts", "ping", "probe_rights", "read_clock_ms", "read_facts"]

# What a server says of a command that it won't run for us, in the words of Redis 6, 7 and 8. All else that a
# malformed command is told means that it would be run.
_REFUSAL = re.compile(
    r"NOPERM|no permission|can't run this|can't access|READONLY|read only replica|OOM|MISCONF|MOVED|CROSSSLOT"
    r"|unknown (?:redis )?command|only replicas|NOREPLICAS|LOADING|BUSY",
    re.IGNORECASE,
)
_NO_SCRIPT = "0" * 40


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What the server tells of itself; None is what it keeps to itself.

    Args:
        version: as it prints it.
        eviction_policy: `maxmemory_policy`.
        used_bytes: the memory in use.
        limit_bytes: `maxmemory`; 0 is no limit.

    Example:
        >>> ServerFacts(version="7.0.15").version_numbers
        (7, 0)
    """

    version: str | None = None
    eviction_policy: str | None = None
    used_bytes: int | None = None
    limit_bytes: int | None = None

    @property
    def version_numbers(self) -> tuple[int, int] | None:
        """Major and minor version."""
        found = re.match(r"(\d+)\.(\d+)", self.version or "")
        return (int(found[1]), int(found[2])) if found else None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A command that the server won't run.

    Args:
        command: its name.
        reason: what the server said.
    """

    command: str
    reason: str

    @property
    def of_permission(self) -> bool:
        """Whether a right is missing, and not something else."""
        return bool(re.search(r"NOPERM|permission|can't run this|can't access", self.reason))


def ping() -> CommandFlow[None]:
    """Ask for an answer.

    Raises:
        StoreError: there is none.
    """
    yield ("PING",)


def read_clock_ms() -> CommandFlow[int]:
    """Return the server's clock, in milliseconds since 1970."""
    seconds, microseconds = yield ("TIME",)
    return int(seconds) * 1000 + int(microseconds) // 1000


def read_facts() -> CommandFlow[ServerFacts]:
    """Return what the server tells; hosted ones leave some out, or refuse the command."""
    lines: dict[str, str] = {}
    for section in ("server", "memory"):
        try:
            reply = yield ("INFO", section)
        except StoreRefused:
            continue
        lines |= read_info(reply)
    return ServerFacts(
        lines.get("redis_version"),
        lines.get("maxmemory_policy"),
        _whole(lines.get("used_memory")),
        _whole(lines.get("maxmemory")),
    )


def probe_rights(namespace: str, shards: Iterable[int]) -> CommandFlow[tuple[Refusal, ...]]:
    """Return the commands that flushes and scrapes send and that this login may not.

    Args:
        namespace: whose keys are asked for; none of them is made or read.
        shards: in which shards.
    """
    refusals: dict[str, Refusal] = {}
    if (yield from _is_cluster()):
        yield from _probe_cluster(refusals)
    for shard in shards:
        key = Keys(namespace, shard).probe
        for command in _direct_probes(key):
            name = str(command[0])
            try:
                reply = yield command
            except UnknownScript:
                continue
            except StoreRefused as err:
                _note(refusals, name, str(err))
                continue
            if name == "EVAL":
                for inner, reason in zip(reply[::2], reply[1::2], strict=True):
                    _note(refusals, inner.decode(), reason.decode(errors="replace"))
    return tuple(refusals.values())


def _is_cluster() -> CommandFlow[bool]:
    try:
        reply = yield ("INFO", "server")
    except StoreRefused:
        return False
    told = read_info(reply)
    return "cluster" in {told.get("redis_mode"), told.get("server_mode")}  # the second is Valkey's


def _probe_cluster(refusals: dict[str, Refusal]) -> CommandFlow[None]:
    """Ask for what it takes to follow keys from node to node."""
    for command in (("ASKING",), ("CLUSTER", "SLOTS")):
        try:
            yield command
        except StoreRefused as err:
            _note(refusals, "|".join(command), str(err))


def _direct_probes(key: str) -> Sequence[Command]:
    return (
        ("EVALSHA", _NO_SCRIPT, 1, key),
        ("EVAL", script_text("probe.lua"), 1, key),
        ("TIME",),
        ("INFO", "server"),
        ("HGETALL", key),
        ("HSCAN", key, "0"),
    )


def _note(refusals: dict[str, Refusal], command: str, reason: str) -> None:
    if _REFUSAL.search(reason):
        refusals.setdefault(command, Refusal(command, reason.removeprefix("Redis: ")))


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None
