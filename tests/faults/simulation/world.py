"""Instances, network, server and scraper in one virtual time, and the rules that must hold at every moment."""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Iterator
from random import Random

from lib.kairo_metrics.config.settings import Settings
from lib.kairo_metrics.delivery import outbox
from lib.kairo_metrics.model.batch import WRITER_LEASE_S
from lib.kairo_metrics.model.delivery_metrics import BATCHES, LOST
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.testing.memory_store import _Line, _Shard
from tests.faults.simulation.instance import CONSERVED, SimulatedInstance
from tests.faults.simulation.network import Network
from tests.faults.simulation.parcels import Parcels, Violation, Weights
from tests.faults.simulation.scraper import Scraper
from tests.faults.simulation.server import Saved, Server

__all__ = ["World"]

_FORGOTTEN = 1_024
# More events than can happen without time passing.
_TOO_OFTEN = 20_000


class World:
    """Everything in one schedule.

    Args:
        chance: draws what the schedule does not decide.
        settings: shards and bounds.
        tells_its_run: whether the server reports that it restarted.
    """

    def __init__(self, chance: Random, settings: Settings, *, tells_its_run: bool) -> None:
        self.chance = chance
        self.settings = settings
        self.parcels = Parcels()
        self.server = Server(settings, lambda: self.network.now_s, self.parcels, tells_its_run=tells_its_run)
        self.trace: list[str] = []
        self.network = Network(chance, self.server, self.tell)
        self.instances: list[SimulatedInstance] = []
        self.saved: list[Saved] = []
        self.scraper = Scraper(self.server, settings, chance, self.network.deliver_early, self.recorded)

    def tell(self, line: str) -> None:
        """Add a line to the trace."""
        self.trace.append(f"{self.network.now_s:12.4f}  {line}")

    @property
    def living(self) -> list[SimulatedInstance]:
        return [instance for instance in self.instances if instance.alive]

    @property
    def awake(self) -> list[SimulatedInstance]:
        return [instance for instance in self.living if not instance.frozen]

    def recorded(self) -> Weights:
        """Return what all instances have recorded, by family."""
        recorded: Weights = Counter()
        for instance in self.instances:
            recorded.update(instance.recorded)
        return recorded

    def start(self) -> SimulatedInstance:
        """Start an instance."""
        instance = SimulatedInstance(len(self.instances), self.chance, self.network, self.settings, self.parcels)
        self.instances.append(instance)
        return instance

    def fork(self, parent: SimulatedInstance) -> SimulatedInstance:
        """Fork an instance."""
        child = parent.fork(len(self.instances))
        self.instances.append(child)
        return child

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and run the events in it."""
        end_s = self.network.now_s + seconds
        for _ in range(_TOO_OFTEN):
            waking = min(self.awake, key=lambda instance: instance.wake_s, default=None)
            wake_s = waking.wake_s if waking else float("inf")
            next_s = min(wake_s, self.network.next_s())
            if next_s > end_s:
                self.network.now_s = end_s
                return
            self.network.now_s = max(self.network.now_s, next_s)
            if waking is not None and wake_s <= self.network.next_s():
                waking.run()
            else:
                self.network.happen()
        raise Violation("endless events at the same time")

    def close(self) -> None:
        """End all instances."""
        for instance in self.instances:
            instance.kill()

    # The rules.

    def check(self) -> None:
        """Check the sums and the bounds.

        Raises:
            Violation: a sum is wrong, or something has grown beyond its bound.
        """
        self._check_sums()
        self._check_own_count()
        self._check_bounds()

    def _check_sums(self) -> None:
        """Check that applied, lost and pending add up to what was recorded, in each family."""
        found: Weights = Counter()
        for instance in self.instances:
            found.update(instance.pending())
        left_behind = ChainMap(*[instance.left_behind() for instance in self.instances])
        for weights in left_behind.values():
            found.update(weights)
        for parcel in self.parcels.all:
            if (parcel in self.server.held) == parcel.lost:
                # Either it is under way, or it was counted as lost without a reply and is in the store.
                sign = -1 if parcel.lost else 1
                for family, weight in parcel.weights.items():
                    found[family] += sign * weight
        recorded = self.recorded()
        for schema in CONSERVED:
            told = sum(told for _, told in self._told(LOST, f'family="{schema.name}"'))
            total = found[schema.name] + self._stored(schema) + told
            if total != recorded[schema.name]:
                raise Violation(
                    f"{schema.name}: {recorded[schema.name]} recorded; {self._stored(schema)} stored,"
                    f" {told} counted as lost, {found[schema.name]} pending"
                )

    def _stored(self, schema: Schema) -> float:
        first, last = {"counter": (0, 1), "histogram": (1, None), "native": (1, 2), "gauge": (0, 1)}[schema.type]
        return sum(sum(map(float, line.numbers[first:last])) for line in self._lines(schema))

    def _lines(self, schema: Schema) -> Iterator[_Line]:
        for shard in self.server.shards:
            if schema.index_field in shard.families:
                yield from shard.families[schema.index_field].lines.values()

    def _told(self, schema: Schema, text: str) -> Iterator[tuple[_Shard, float]]:
        for shard in self.server.shards:
            family = shard.families.get(schema.index_field)
            if family and text in family.lines:
                yield shard, family.lines[text].numbers[0]

    def _check_own_count(self) -> None:
        """Check that each batch has counted itself once."""
        for shard, told in self._told(BATCHES, 'outcome="applied"'):
            if told != shard.batches:
                raise Violation(f"{shard.batches} batches applied, but {told} counted")

    def _check_bounds(self) -> None:
        for instance in self.living:
            box = instance.outbox
            sizes = len(box._unsettled), len(box._kept), len(box._forgotten)
            if sizes[0] > outbox._KEPT + 1 or sizes[1] > outbox._KEPT or sizes[2] > _FORGOTTEN:
                raise Violation(f"the outbox of instance {instance.number} has grown to {sizes}")
            if len(instance.recorder.touched) > instance.known_series:
                raise Violation(f"the recorder of instance {instance.number} holds a series twice")
        for shard in self.server.shards:
            for family in shard.families.values():
                if len(family.lines) > self.settings.max_series + 1:
                    raise Violation(f"{family.schema.name} has {len(family.lines)} series")
            remembered = sum(until_ms > self.server.now_ms() for _, until_ms, _ in shard.writers.values())
            if remembered > self.spoke_lately:
                raise Violation(f"{remembered} writers have records, {self.spoke_lately} wrote within the lease")

    @property
    def spoke_lately(self) -> int:
        """The number of writers with an applied batch within the lease."""
        oldest_s = self.network.now_s - WRITER_LEASE_S
        return sum(heard_s >= oldest_s for heard_s in self.server.heard_s.values())
