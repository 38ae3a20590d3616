"""A schedule: random actions from a seed, step by step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from unittest import mock

from lib.kairo_metrics.config.settings import Settings
from lib.kairo_metrics.delivery import outbox
from lib.kairo_metrics.model.delivery_metrics import LOST
from tests.faults.simulation.error_log import logged_errors
from tests.faults.simulation.instance import JOBS, WAIT, SimulatedInstance
from tests.faults.simulation.network import MOODS
from tests.faults.simulation.parcels import Violation
from tests.faults.simulation.world import World

__all__ = ["STEPS", "Failure", "Told", "run"]

# In the last step all faults end.
STEPS = 31
_SAVED = 4
_HEALING_ROUNDS = 4
_LONGEST_AWAKE_S = 60
# Some hosts do not report the server's restarts.
_SHARE_TELLING = 0.7


class Failure(AssertionError):
    """A failed schedule; its message has the command that shows it again.

    Args:
        seed: the seed of the schedule.
        step: the step after which it failed.
        err: the failure.
        trace: everything that happened.
    """

    def __init__(self, seed: int, step: int, err: BaseException, trace: list[str]) -> None:
        self.seed, self.step, self.trace = seed, step, trace
        said = str(err) or repr(err)
        super().__init__(f"{said}\n  show it: python -m tests.faults.simulation --seed {seed} --steps {step}")


@dataclass(slots=True)
class Told:
    """The result of a schedule that passed.

    Args:
        happened: how often each action and each result happened.
        trace: everything that happened.
    """

    happened: Counter[str] = field(default_factory=Counter)
    trace: list[str] = field(default_factory=list)


def run(seed: int, steps: int = STEPS) -> Told:
    """Run a schedule, or its first steps.

    Raises:
        Failure: a rule is broken.
    """
    chance = Random(seed)
    with _small(chance), logged_errors() as heard:
        return _run(seed, steps, chance, heard)


def _run(seed: int, steps: int, chance: Random, heard: list[str]) -> Told:
    # Steps and their effects have separate random numbers: so a change of the code leaves the steps as they are.
    world = World(Random(chance.random()), _settings(chance), tells_its_run=chance.random() < _SHARE_TELLING)
    schedule = _Schedule(chance, world)
    step = 0
    try:
        for step in range(1, min(steps, STEPS) + 1):
            if step == STEPS:
                schedule.heal()
            else:
                schedule.step(step)
            if heard:
                raise Violation(heard[0])  # noqa: TRY301  an error that a flush only logs is a failure, too
            schedule.world.check()
    except Exception as err:
        raise Failure(seed, step, err, schedule.world.trace) from err
    finally:
        schedule.world.close()
    return Told(schedule.summary(), schedule.world.trace)


def _settings(chance: Random) -> Settings:
    return Settings(
        enabled=True,
        shards=chance.choice((1, 1, 3)),
        max_series=chance.choice((12, 10_000)),
        flush_budget_ms=1_000,
    )


@contextmanager
def _small(chance: Random) -> Iterator[None]:
    """Let an outbox keep few batches, so that a short schedule reaches its limits."""
    with mock.patch.object(outbox, "_KEPT", chance.choice((2, 5, 64))):
        yield


class _Schedule:
    """The actions, each with its relative frequency."""

    def __init__(self, chance: Random, world: World) -> None:
        self.world = world
        self._chance = chance
        self._happened: Counter[str] = Counter()
        self._actions: dict[Callable[[], str], int] = {
            self._request: 40,
            self._flush: 4,
            self._cancel: 2,
            self._remove: 2,
            self._start: 2,
            self._kill: 2,
            self._fork: 2,
            self._leave_loop: 2,
            self._freeze: 4,
            self._thaw: 6,
            self._change_mood: 8,
            self._wait_long: 2,
            self._scrape: 12,
            self._flush_scripts: 2,
            self._restart: 2,
        }
        if chance.random() < 0.6:
            self._actions |= {self._save: 6, self._roll_back: 3, self._empty: 1, self._evict: 3, self._make_foreign: 2}
        for _ in range(chance.randrange(1, 4)):
            world.start()

    def step(self, number: int) -> None:
        """Do one action, and let some time pass."""
        [action] = self._chance.choices(list(self._actions), list(self._actions.values()))
        said = action()
        name = action.__name__.lstrip("_").replace("_", " ")
        self._happened[name if said else f"{name}: nothing to do"] += 1
        self.world.tell(f"-- step {number}: {said or name + ', but nothing to do it with'}")
        self.world.pass_time(self._chance.choice((0.0, 0.0, 0.005, 0.1, 2.0)))

    def heal(self) -> None:
        """End all faults, and let all instances deliver what is pending.

        Raises:
            Violation: an instance can't deliver.
        """
        world = self.world
        world.tell("-- all faults end")
        world.network.mood = "well"
        world.server.foreign.clear()
        for instance in world.living:
            if instance.frozen:
                instance.thaw()
        for _ in range(_HEALING_ROUNDS):
            for instance in world.living:
                instance.request()
            world.pass_time(70.0)  # longer than any pause of the breaker and any delay of a message
        for instance in world.living:
            if instance.flusher.pending:
                raise Violation(f"instance {instance.number} does not deliver what is pending")
            missing = [parcel for parcel in instance.clerk.kept() if parcel not in world.server.held]
            if missing:
                raise Violation(f"instance {instance.number} does not notice that the store has lost {missing[0]!r}")
        world.scraper.scrape()

    def summary(self) -> Counter[str]:
        """Return how often each action and each result happened."""
        parcels = self.world.parcels.all
        return self._happened + Counter(
            {
                "batch parcels": len(parcels),
                "parcels applied": sum(parcel.applied for parcel in parcels),
                "parcels rolled back": sum(parcel.rolled_back for parcel in parcels),
                "parcels counted as lost": sum(parcel.lost for parcel in parcels),
                "parcels gone with their writers": sum(len(instance.clerk.unseen) for instance in self.world.instances),
                "pages": self.world.scraper.pages,
            }
        )

    def _one(self, instances: list[SimulatedInstance]) -> SimulatedInstance | None:
        return self._chance.choice(instances) if instances else None

    # Instances.

    def _request(self) -> str:
        instance = self._one(self.world.living)
        if instance:
            instance.thaw()
            instance.request()
        return f"a request to instance {instance.number}" if instance else ""

    def _flush(self) -> str:
        instance = self._one(self.world.awake)
        if instance:
            instance.flush()
        return f"instance {instance.number} is asked to flush" if instance else ""

    def _cancel(self) -> str:
        instance = self._one(self.world.awake)
        if instance:
            instance.cancel()
        return f"the oldest request to instance {instance.number} is cancelled" if instance else ""

    def _remove(self) -> str:
        instance = self._one(self.world.awake)
        if instance:
            instance.remove()
        return f"instance {instance.number} removes series" if instance else ""

    def _start(self) -> str:
        return f"instance {self.world.start().number} starts"

    def _kill(self) -> str:
        instance = self._one(self.world.living)
        if instance:
            instance.kill()
        return f"instance {instance.number} is killed" if instance else ""

    def _fork(self) -> str:
        parent = self._one(self.world.awake)
        return f"instance {parent.number} forks instance {self.world.fork(parent).number}" if parent else ""

    def _leave_loop(self) -> str:
        instance = self._one(self.world.awake)
        if instance:
            instance.leave_loop()
        return f"instance {instance.number} goes on in a new event loop" if instance else ""

    def _freeze(self) -> str:
        instance = self._one(self.world.awake)
        if instance:
            instance.freeze(clock_stands=self._chance.random() < 0.5)
        return f"instance {instance.number} is frozen" if instance else ""

    def _thaw(self) -> str:
        instance = self._one([instance for instance in self.world.living if instance.frozen])
        if instance:
            instance.thaw()
        return f"instance {instance.number} thaws" if instance else ""

    # Network and time.

    def _change_mood(self) -> str:
        self.world.network.mood = self._chance.choice((*MOODS, "fine"))
        return f"the network is {self.world.network.mood}"

    def _wait_long(self) -> str:
        seconds = self._chance.choice((60, 400, 1_900, 4_000))
        if seconds > _LONGEST_AWAKE_S:
            # The platform freezes instances without requests.
            for instance in self.world.awake:
                instance.freeze(clock_stands=self._chance.random() < 0.5)
        self.world.pass_time(seconds)
        return f"{seconds} s pass"

    # The server.

    def _scrape(self) -> str:
        self.world.scraper.scrape()
        return "a scrape"

    def _flush_scripts(self) -> str:
        self.world.server.flush_scripts()
        return "the server forgets its scripts"

    def _restart(self) -> str:
        self.world.network.cut()
        self.world.server.restart()
        return "the server is restarted and has lost nothing"

    def _save(self) -> str:
        self.world.saved = [*self.world.saved, self.world.server.save()][-_SAVED:]
        return "the server writes a snapshot"

    def _roll_back(self) -> str:
        if not self.world.saved or self.world.server.evicted:
            return ""
        self.world.network.cut()
        chosen = self._chance.choice(self.world.saved)
        self.world.server.load(chosen)
        # Later snapshots belong to states that are gone.
        del self.world.saved[self.world.saved.index(chosen) + 1 :]
        return "the server comes up with an older state"

    def _empty(self) -> str:
        if self.world.server.evicted:
            return ""
        self.world.network.cut()
        self.world.server.empty()
        self.world.saved = []
        return "the server comes up empty"

    def _evict(self) -> str:
        # If the state went back, or has a name unknown to the writer, it might have lost the writer's batches, too.
        # A first batch under way has no record that would reveal its copy; and for a batch under way the outbox
        # does not know whether the connection has sent it twice.
        server = self.world.server
        first = {message.writer.id for message in self.world.network.under_way if message.batch.seq == 1}
        boxes = [instance.outbox for instance in self.world.living if instance.outbox._writer and not instance.waits]
        unsure = server.unnoticed | {
            box.writer.shard
            for box in boxes
            if box._state.incarnation not in {"", server.shards[box.writer.shard].incarnation}
        }
        writers = [
            box.writer
            for box in boxes
            if box.writer.shard not in unsure
            and box.writer.id not in first
            and not (box.unsettled and not (box._unsettled[0].seq > 1 and box.may_be_applied(box._unsettled[0])))
        ]
        if not writers:
            return ""
        writer = self._chance.choice(writers)
        self.world.server.evict_record(writer)
        return f"the server evicts the record of writer {writer.id[:4]}"

    def _make_foreign(self) -> str:
        if self.world.server.foreign:
            self.world.server.foreign.clear()
            return "all keys are ours again"
        schema = self._chance.choice((JOBS, WAIT, LOST))
        self.world.server.foreign.add(schema.index_field)
        return f"the key of {schema.name} holds something foreign"
