"""Facts about the server for an operator: its version, its memory, and the commands that the user may run.

The functions are command flows. They write nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...errors import StoreRefused, UnknownScript
from ..command_flow import Command, CommandFlow
from ..keys import Keys
from ..script_call import script_text
from ..server_info import read_info

__all__ = ["Refusal", "ServerFacts", "ping", "probe_rights", "read_clock_ms", "read_facts"]

# How Redis 6, 7 and 8 refuse a command that they would not run for this user. Any other error in reply to a malformed
# command means that the server would run a well-formed one.
_REFUSAL = re.compile(
    r"NOPERM|no permission|can't run this|can't access|READONLY|read only replica|OOM|MISCONF|MOVED|CROSSSLOT"
    r"|unknown (?:redis )?command|only replicas|NOREPLICAS|LOADING|BUSY",
    re.IGNORECASE,
)
_UNKNOWN_DIGEST = "0" * 40


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """Facts about the server; None where it does not report one.

    Args:
        version: as the server prints it.
        eviction_policy: `maxmemory_policy`.
        used_bytes: the memory in use.
        limit_bytes: `maxmemory`; 0 means no limit.

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
        match = re.match(r"(\d+)\.(\d+)", self.version or "")
        return (int(match[1]), int(match[2])) if match else None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A command that the server does not run for this user.

    Args:
        command: its name.
        reason: the error reply.
    """

    command: str
    reason: str

    @property
    def of_permission(self) -> bool:
        """Whether the reason is a missing right."""
        return bool(re.search(r"NOPERM|permission|can't run this|can't access", self.reason))


def ping() -> CommandFlow[None]:
    """Check that the server answers.

    Raises:
        StoreError: it does not.
    """
    yield ("PING",)


def read_clock_ms() -> CommandFlow[int]:
    """Return the server's clock, in milliseconds since 1970."""
    seconds, microseconds = yield ("TIME",)
    return int(seconds) * 1000 + int(microseconds) // 1000


def read_facts() -> CommandFlow[ServerFacts]:
    """Return the facts that the server reports; hosted servers leave some out, or refuse the command."""
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
        _number(lines.get("used_memory")),
        _number(lines.get("maxmemory")),
    )


def probe_rights(namespace: str, shards: Iterable[int]) -> CommandFlow[tuple[Refusal, ...]]:
    """Return the commands of flushes and scrapes that the server does not run for this user.

    Args:
        namespace: the namespace on whose key names the commands are tried; no key is created or read.
        shards: the shards.
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
                _add(refusals, name, str(err))
                continue
            if name == "EVAL":
                for inner, reason in zip(reply[::2], reply[1::2], strict=True):
                    _add(refusals, inner.decode(), reason.decode(errors="replace"))
    return tuple(refusals.values())


def _is_cluster() -> CommandFlow[bool]:
    try:
        reply = yield ("INFO", "server")
    except StoreRefused:
        return False
    info = read_info(reply)
    return "cluster" in {info.get("redis_mode"), info.get("server_mode")}  # Valkey uses the second name


def _probe_cluster(refusals: dict[str, Refusal]) -> CommandFlow[None]:
    """Try the commands that a client of a cluster needs."""
    for command in (("ASKING",), ("CLUSTER", "SLOTS")):
        try:
            yield command
        except StoreRefused as err:
            _add(refusals, "|".join(command), str(err))


def _direct_probes(key: str) -> Sequence[Command]:
    return (
        ("EVALSHA", _UNKNOWN_DIGEST, 1, key),
        ("EVAL", script_text("probe.lua"), 1, key),
        ("TIME",),
        ("INFO", "server"),
        ("HGETALL", key),
        ("HSCAN", key, "0"),
    )


def _add(refusals: dict[str, Refusal], command: str, reason: str) -> None:
    if _REFUSAL.search(reason):
        refusals.setdefault(command, Refusal(command, reason.removeprefix("Redis: ")))


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None
