"""What is measured of each library: the time of a request, its round trips and commands, and its totals."""

from __future__ import annotations

import re
import statistics
import tempfile
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import redis

from benchmarks.peers.peer import Peer, Program, running
from lib.kairo_metrics.dev.private_redis import private_redis
from tests.support.ports import free_port
from tests.support.proxy import Proxy

__all__ = ["DISTANCE_MS", "Comparison", "Figures", "compared"]

DISTANCE_MS = 2.0
_ROUNDS, _REQUESTS, _FAR_REQUESTS = 12, 40, 10
_WATCHED = 20
_PROCESSES, _REQUESTS_EACH = 4, 150
# A command that is sent again counts twice if its reply was lost; one that is not counts not at all if it was lost.
_LOSSES = 10
_TOTALS = ("peer_requests", "peer_seconds_count", "peer_errors")


@dataclass(frozen=True, slots=True)
class Figures:
    """What one library has shown.

    Args:
        name: the library.
        near_us: the median time of a request in µs, with Redis on this machine.
        far_us: the same with `DISTANCE_MS` between them; None without a network.
        round_trips: of one request, warm; None without a network.
        sent: the commands that it sends to Redis for one request; `run` has those that scripts run, too.
        cold_round_trips: of a new process, until its first request is counted.
        counted: what the page shows after several processes have counted at once; `made` is right.
        counted_after_losses: what it shows if some commands and some replies were lost; `made_with_losses` is right.
    """

    name: str
    near_us: float
    far_us: float | None
    round_trips: float | None
    sent: float | None
    run: float | None
    cold_round_trips: float | None
    counted: int
    made: int
    counted_after_losses: int | None
    made_with_losses: int | None

    @property
    def is_right(self) -> bool:
        """Whether every total was right."""
        return self.counted == self.made and self.counted_after_losses == self.made_with_losses


class Comparison:
    """A library with a Redis of its own, and a proxy before it.

    Args:
        peer: the library.
        stack: closes everything.
    """

    def __init__(self, peer: Peer, stack: ExitStack) -> None:
        self._peer = peer
        self._url = stack.enter_context(private_redis(free_port()))
        self._client = redis.Redis.from_url(self._url)
        self._proxy = stack.enter_context(Proxy(self._url))
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="peers-")))
        # Time is measured without the proxy, unless it plays the distance.
        self._near = stack.enter_context(running(peer, self._url, self._folder))
        self._far = stack.enter_context(running(peer, self._proxy.url, self._folder)) if peer.has_network else None
        for program in (self._near, self._far):
            if program is not None:
                program.requests(_WATCHED)
        self._near_s: list[float] = []
        self._far_s: list[float] = []

    def take_turn(self) -> None:
        """Measure some requests."""
        self._near_s += self._near.requests(_REQUESTS)
        if self._far is not None:
            self._proxy.reply_delay_ms = DISTANCE_MS
            self._far_s += self._far.requests(_FAR_REQUESTS)
            self._proxy.reply_delay_ms = 0.0

    def figures(self) -> Figures:
        """Count what a request does, and return everything that was measured."""
        trips = self._round_trips(self._far) if self._far is not None else None
        sent, run = self._commands() if self._far is not None else (None, None)
        cold = self._cold_round_trips() if self._far is not None else None
        counted, made = self._counted_by_several()
        after, made_after = self._counted_after_losses() if self._far is not None else (None, None)
        return Figures(
            self._peer.name,
            statistics.median(self._near_s) * 1e6,
            statistics.median(self._far_s) * 1e6 if self._far_s else None,
            trips,
            sent,
            run,
            cold,
            counted,
            made,
            after,
            made_after,
        )

    def _round_trips(self, program: Program) -> float:
        self._proxy.reset_counts()
        program.requests(_WATCHED)
        return self._proxy.round_trips / _WATCHED

    def _commands(self) -> tuple[float, float]:
        """Return how many commands a request sends, and how many Redis runs for it, those of scripts included."""
        ran: list[str] = []
        self._client.ping()  # its connection is open from here on, and is not the one that watches
        with redis.Redis.from_url(self._url).monitor() as monitor:  # type: ignore[no-untyped-call]
            watcher = threading.Thread(target=lambda: ran.extend(self._watched(monitor)))
            watcher.start()
            self._near.requests(_WATCHED)
            self._client.ping()
            watcher.join()
        return ran.count("client") / _WATCHED, len(ran) / _WATCHED

    @staticmethod
    def _watched(monitor: redis.client.Monitor) -> list[str]:
        seen = []
        while (command := monitor.next_command())["command"] != "PING":  # type: ignore[no-untyped-call]
            seen.append("script" if command["client_type"] == "lua" else "client")
        return seen

    def _cold_round_trips(self) -> int:
        self._proxy.reset_counts()
        with running(self._peer, self._proxy.url, self._folder) as program:
            program.requests(1)
            return self._proxy.round_trips

    def _counted_by_several(self) -> tuple[int, int]:
        before = self._total()
        with ExitStack() as stack:
            programs = [stack.enter_context(running(self._peer, self._url, self._folder)) for _ in range(_PROCESSES)]
            for program in programs:
                program.requests(1)
            for program in programs:
                program.begin(f"requests {_REQUESTS_EACH}")
            for program in programs:
                program.end()
        return self._total() - before, _PROCESSES * (_REQUESTS_EACH + 1)

    def _counted_after_losses(self) -> tuple[int, int]:
        before = self._total()
        assert self._far is not None
        for lose in (self._proxy.lose_reply, self._proxy.lose_request):
            for _ in range(_LOSSES):
                lose()
                self._far.requests(_FAR_REQUESTS)
        self._far.requests(_FAR_REQUESTS)
        return self._total() - before, (2 * _LOSSES + 1) * _FAR_REQUESTS

    def _total(self) -> int:
        """Return what the page of a new process shows: of three totals the one that differs from the others, if any."""
        with running(self._peer, self._url, self._folder) as program:
            text = program.page()
        found = []
        for name in _TOTALS:
            samples = re.findall(rf"^{name}(?:_total)?(?:\{{.*\}})? (\S+)$", text, re.MULTILINE)
            found.append(round(sum(map(float, samples))))
        return min(found, key=lambda total: (found.count(total), total))


def compared(peers: tuple[Peer, ...]) -> list[Figures]:
    """Measure all libraries in turn, so that whatever else the machine does concerns each of them."""
    with ExitStack() as stack:
        comparisons = [Comparison(peer, stack) for peer in peers]
        for _ in range(_ROUNDS):
            for comparison in comparisons:
                comparison.take_turn()
        return [comparison.figures() for comparison in comparisons]
