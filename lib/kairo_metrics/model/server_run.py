"""The run of a server that a shard was read from: a state goes back in time only between two runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .batch import State
from .recovery import Recovery

__all__ = ["ServerRun"]

# The server reports its uptime in whole seconds.
_UPTIME_PRECISION_MS = 1_000


@dataclass(frozen=True, slots=True)
class ServerRun:
    """One run of a server, from its start to its end.

    Args:
        id: unique to the run; empty if the server does not report it.
        age_ms: how long the server has been up, at least.
        has_loaded: whether the server started with a saved state: the state got its name before the start. This stays
            true after an instance has noticed that the saved state was an older one, and the state got a new name.
    """

    id: str = ""
    age_ms: int = 0
    has_loaded: bool = False

    @classmethod
    def read(cls, server: Mapping[str, str], state: State, recovery: Recovery | None, now_ms: int) -> ServerRun:
        """Read the lines of `INFO server`.

        Args:
            server: the values by their names.
            state: the state of the shard.
            recovery: the recovery of the shard, if its state ever went back in time.
            now_ms: the server's clock, in ms since 1970.

        Example:
            >>> info = {"run_id": "b3f7", "uptime_in_seconds": "2", "server_time_usec": "1764000003999999"}
            >>> ServerRun.read(info, State("blue-1764000000000", 7), None, 1764000004000)
            ServerRun(id='b3f7', age_ms=2000, has_loaded=True)
        """
        uptime = server.get("uptime_in_seconds", "")
        if not (uptime.isdecimal() and uptime.isascii()):
            return cls(server.get("run_id", ""))
        # The server computes its uptime with this clock, which is a little behind `now_ms`.
        clock = server.get("server_time_usec", "")
        clock_s = int(clock) // 1_000_000 if clock.isdecimal() and clock.isascii() else now_ms // 1000
        started_ms = (clock_s - int(uptime)) * 1000
        states = (state, State(recovery.name)) if recovery else (state,)
        has_loaded = any(0 < one.named_ms < started_ms for one in states)
        return cls(server.get("run_id", ""), max(0, now_ms - started_ms - _UPTIME_PRECISION_MS), has_loaded)
