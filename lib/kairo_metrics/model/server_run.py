"""Which run of a server a shard was read from: a state can only go back in time from one run to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .batch import State
from .recovery import Recovery

__all__ = ["ServerRun"]

# It tells to the second since when it is up.
_TOLD_TO_MS = 1_000


@dataclass(frozen=True, slots=True)
class ServerRun:
    """A server's life, from its start to its end.

    Args:
        id: no other run has it; empty where the server does not tell.
        age_ms: how long it has been up, at least.
        has_loaded: whether the state was there before the server was: it came up with what had been saved. Also where
            an instance has found out that it was an older one, or none, and the state has a younger name since.
    """

    id: str = ""
    age_ms: int = 0
    has_loaded: bool = False

    @classmethod
    def read(cls, server: Mapping[str, str], state: State, recovery: Recovery | None, now_ms: int) -> ServerRun:
        """Read the lines of `INFO server`.

        Args:
            server: the lines by name.
            state: what the shard holds.
            recovery: how far it was made good since it went back in time last.
            now_ms: the server's clock.

        Example:
            >>> told = {"run_id": "b3f7", "uptime_in_seconds": "2", "server_time_usec": "1764000003999999"}
            >>> ServerRun.read(told, State("blue-1764000000000", 7), None, 1764000004000)
            ServerRun(id='b3f7', age_ms=2000, has_loaded=True)
        """
        uptime = server.get("uptime_in_seconds", "")
        if not (uptime.isdecimal() and uptime.isascii()):
            return cls(server.get("run_id", ""))
        # By the clock that it was reckoned with, which is a little behind.
        clock = server.get("server_time_usec", "")
        clock_s = int(clock) // 1_000_000 if clock.isdecimal() and clock.isascii() else now_ms // 1000
        began_ms = (clock_s - int(uptime)) * 1000
        names = (state, State(recovery.name)) if recovery else (state,)
        has_loaded = any(0 < name.born_ms < began_ms for name in names)
        return cls(server.get("run_id", ""), max(0, now_ms - began_ms - _TOLD_TO_MS), has_loaded)
