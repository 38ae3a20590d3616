"""The network between instances and the server: it delays, loses and repeats messages, and breaks connections."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any, cast

from lib.kairo_metrics.errors import StoreError, StoreUnavailable
from lib.kairo_metrics.model.batch import Batch, Verdict, Writer
from lib.kairo_metrics.model.moment import Moment, elapsed_s
from lib.kairo_metrics.store.command_flow import CommandFlow
from lib.kairo_metrics.store.replies import mark_sent_before
from lib.kairo_metrics.store.script_call import RESEND_LIMIT_S, call_script

if TYPE_CHECKING:
    from tests.faults.simulation.instance import SimulatedInstance
    from tests.faults.simulation.server import Server

__all__ = ["MOODS", "Message", "Network", "Wire"]

# The probability of each fate in percent; all other messages arrive.
MOODS: dict[str, dict[str, int]] = {
    "well": {},
    "fine": {},
    "lossy": {"request lost": 10, "reply lost": 15, "broken before": 10, "broken after": 10, "late copy": 10},
    "slow": {"slow": 60},
    "refusing": {"refused": 100},
    "black hole": {"request lost": 100},
    "losing replies": {"reply lost": 80, "broken after": 20},
}
_LATEST_COPY_S = 60.0


@dataclass(eq=False, slots=True)
class Message:
    """A command that is under way, and the future for its reply.

    Args:
        sender: the instance.
        command: the command.
        future: the reply.
        answered: whether the reply will arrive.
    """

    sender: SimulatedInstance
    command: tuple[Any, ...]
    future: asyncio.Future[Any]
    answered: bool

    @property
    def writer(self) -> Writer:
        writer: Writer = self.command[2]
        return writer

    @property
    def batch(self) -> Batch:
        batch: Batch = self.command[3]
        return batch

    def __repr__(self) -> str:
        return f"{self.command[0]} {self.writer.id[:4]}/{self.writer.shard} seq {self.batch.seq}"


@dataclass(slots=True)
class Network:
    """Carries messages, with a random fate for each.

    Args:
        chance: the random numbers.
        server: answers the commands.
        tell: adds a line to the trace.
    """

    chance: Random
    server: Server
    tell: Callable[[str], None]
    now_s: float = 0.0
    mood: str = "fine"
    _numbers: count[int] = field(default_factory=count)
    _due: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    under_way: dict[Message, Callable[[], None]] = field(default_factory=dict)

    def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            StoreUnavailable: the connection is refused.
        """
        fate = self._fate()
        if fate == "refused":
            raise StoreUnavailable("refused")
        self.tell(f"instance {message.sender.number} sends {message!r}: {fate}")
        if fate == "request lost":
            return
        delay_s = self.chance.uniform(0, 3) if fate == "slow" else self._delay_s(0.02)
        if fate == "broken before":
            self._break(message, delay_s)
            return
        if fate == "late copy":
            # Its connection broke; what the kernel has buffered reaches the server after the next message.
            self._break(message, delay_s)
            self._carry(replace(message, answered=False), self.chance.uniform(0, _LATEST_COPY_S))
            return
        if fate == "broken after":
            self._break(message, delay_s + 0.001)
        self._carry(replace(message, answered=fate in {"well", "slow"}), delay_s)

    def _fate(self) -> str:
        drawn = self.chance.randrange(100)
        for fate, share in MOODS[self.mood].items():
            drawn -= share
            if drawn < 0:
                return fate
        return "well"

    def _delay_s(self, longest_s: float) -> float:
        return 0.0 if self.mood == "well" else self.chance.choice((0.0, 0.001, 0.02, longest_s))

    def _carry(self, message: Message, delay_s: float) -> None:
        def arrive() -> None:
            if self.under_way.pop(message, None) is not None:
                self._arrive(message)

        self.under_way[message] = arrive
        self._at(self.now_s + delay_s, arrive)

    def _arrive(self, message: Message) -> None:
        reply: Verdict | StoreError
        try:
            reply = self.server.answer(message.command)
        except StoreError as err:
            reply = err
        self.tell(f"the server answers {message!r}: {reply!r}{'' if message.answered else ', and the reply is lost'}")
        if message.answered:
            heard_in, delay_s = self.server.disturbed, self._delay_s(0.5)
            self._at(self.now_s + delay_s, lambda: message.sender.hear(message.future, reply, heard_in))

    def _break(self, message: Message, delay_s: float) -> None:
        broken = StoreUnavailable("broken", sent=True, broken=True)
        self._at(self.now_s + delay_s, lambda: message.sender.hear(message.future, broken, self.server.disturbed))

    def cut(self) -> None:
        """Let the server close all connections: messages under way never arrive."""
        for message in list(self.under_way):
            del self.under_way[message]
            self._break(message, 0.0)

    def deliver_early(self) -> None:
        """Let one message that is under way arrive now."""
        if self.under_way:
            next(iter(self.under_way.values()))()

    def next_s(self) -> float:
        """Return the time of the next event."""
        return self._due[0][0] if self._due else float("inf")

    def happen(self) -> None:
        """Run the next event."""
        heapq.heappop(self._due)[2]()

    def _at(self, moment_s: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._due, (moment_s, next(self._numbers), event))


class Wire:
    """An instance's store as a flush uses it: with the script's commands, and the network as connection."""

    def __init__(self, instance: SimulatedInstance) -> None:
        self.is_loaded = True
        self.sent = 0
        self._instance = instance

    def load(self) -> None:
        """See `Store.load`."""

    def apply(self, writer: Writer, batch: Batch) -> CommandFlow[Verdict]:
        """See `Store.apply`; the batch's age is computed at each sending, by the instance's clock."""
        # The server's clocks show zero, so that it uses the age in the batch.
        aged = batch._replace(sealed_at=Moment(-self._age_s(batch), -self._age_s(batch)))
        verdict: Verdict = yield from call_script("apply.lua", cast(Any, (writer, aged)), self._wall_s)
        return verdict

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Wire]:
        """See `Store.link`."""
        yield self

    def _age_s(self, batch: Batch) -> float:
        return elapsed_s(batch.sealed_at, Moment(self._instance.monotonic_s(), self._instance.wall_s()))

    def _wall_s(self) -> float:
        return self._instance.wall_s()

    async def call(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Send a command, and once more if the connection breaks, as the connection to Redis does."""
        [command] = commands
        self.sent += 1
        asked_s = self._wall_s()
        try:
            return [await self._instance.exchange(command)]
        except StoreUnavailable as first:
            if not first.broken or self._wall_s() - asked_s > RESEND_LIMIT_S:
                raise
            try:
                return mark_sent_before([await self._instance.exchange(command)], sent=first.sent)
            except StoreUnavailable as err:
                err.sent = err.sent or first.sent
                raise
