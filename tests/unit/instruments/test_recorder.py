"""What the recorder has for the next batch, and what a removal costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from copy import copy, deepcopy
from dataclasses import replace

import pytest
from prometheus_client import Counter

from lib.kairo_metrics.instruments import recorder as recorder_module
from lib.kairo_metrics.instruments.inheritance import Inheritance
from lib.kairo_metrics.instruments.pending_series import INSTANCE_PLACE, PendingSeries
from lib.kairo_metrics.instruments.recorder import Recorder
from lib.kairo_metrics.instruments.sealing import seal
from lib.kairo_metrics.model.native_counts import NativeCounts
from lib.kairo_metrics.model.schema import Schema
from tests.support.adopted import adopted_registry
from tests.support.instance import JOBS, WAIT
from tests.support.recording import Recording

SERIES = 500
# So often, at most, a label set is looked up in a dictionary while it is made, counted or removed.
LOOK_UPS = 20


class CountedSeries(PendingSeries):
    """A series that counts how often it is looked up."""

    __slots__ = ()
    look_ups = 0

    def __hash__(self) -> int:
        CountedSeries.look_ups += 1
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


class CountedLabel(str):
    """A label value that counts how often it is looked up."""

    __slots__ = ()
    look_ups = 0

    def __hash__(self) -> int:
        CountedLabel.look_ups += 1
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other)

    def __str__(self) -> str:
        return self


@pytest.mark.parametrize("act", ["remove", "restart", "reject"])
def test_a_removal_does_not_look_at_the_other_series(act: str) -> None:
    """Thousands of removals in one request cost a few look-ups each, however many series are pending."""
    recorder = Recorder()
    pending = [CountedSeries(JOBS, f'queue="{number}"') for number in range(SERIES)]
    with recorder.lock:
        for series in pending:
            recorder.add(series, 1, 1.0, weight=1.0)
    CountedSeries.look_ups = 0
    for series in pending:
        getattr(recorder, act)(series)
    assert SERIES <= CountedSeries.look_ups <= LOOK_UPS * SERIES


async def test_removing_a_child_does_not_look_at_the_other_children(recording: Recording) -> None:
    """`remove` of an instrument with hundreds of children looks up the one that it removes."""
    jobs = Counter("counted_jobs", "Jobs.", ["room"], registry=adopted_registry())
    rooms = [CountedLabel(number) for number in range(SERIES)]
    for room in rooms:
        jobs.labels(room).inc()
    CountedLabel.look_ups = 0
    for room in rooms[1:]:
        jobs.remove(room)
    assert SERIES <= CountedLabel.look_ups <= LOOK_UPS * SERIES
    assert await recording.samples("counted_jobs_total") == {'counted_jobs_total{room="0"}': 1}


def test_series_are_sealed_in_the_order_in_which_they_were_touched() -> None:
    """A full batch takes the oldest changes; what was rejected is not in it, and the rest waits."""
    recorder = Recorder()
    a, b, c, d = (PendingSeries(JOBS, f'queue="{name}"') for name in "abcd")
    with recorder.lock:
        for series in (a, b, c, a, d):
            recorder.add(series, 1, 1.0, weight=1.0)
        recorder.reject(b)
    sealed = []
    while recorder.pending:
        batch = seal(recorder, 1, limit=2)
        sealed.append([text for family in batch.families if family.schema == JOBS for text, _ in family.series])
        assert len(sealed) < 5
    assert sealed == [['queue="a"', 'queue="c"'], ['queue="d"']]


def test_what_is_recorded_after_a_removal_is_applied_after_it() -> None:
    """A series that is removed and counted again begins anew; what was counted before goes with the removal."""
    recorder = Recorder()
    old, new = PendingSeries(JOBS, 'queue="a"'), PendingSeries(JOBS, 'queue="a"')
    with recorder.lock:
        recorder.add(old, 1, 5.0, weight=5.0)
    recorder.remove(old)
    with recorder.lock:
        recorder.add(old, 1, 7.0, weight=7.0)
        recorder.add(new, 1, 1.0, weight=1.0)
    [family] = seal(recorder, 1).families
    assert family.series == (('queue="a"', "D 1 1.0"),)
    assert not recorder.pending


def test_clearings_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clearings travel in the order in which the program made them; the oldest beyond the limit is counted as lost."""
    monkeypatch.setattr(recorder_module, "_MAX_REMOVALS", 3)
    recorder = Recorder()
    for number in range(4):
        recorder.clear(set(), WAIT, f'queue="{number}"')
    families = {family.schema.name: family for family in seal(recorder, 1).families}
    assert families[WAIT.name].cleared == ('queue="1"', 'queue="2"', 'queue="3"')
    assert families["kairo_samples_lost"].series == (('family="wait_seconds"', "1 1.0"),)


class InterruptedAmounts(defaultdict[int, float]):
    """Amounts during whose removal a signal handler counts something else."""

    handler: Callable[[], None] = staticmethod(lambda: None)

    def __del__(self) -> None:
        InterruptedAmounts.handler()


def test_a_forked_child_has_nothing_of_its_parent() -> None:
    """Neither counts nor observations nor exemplars that the parent has not sent are sent by the child as well."""
    recorder = Recorder()
    jobs, sizes, load = (
        PendingSeries(JOBS, 'queue="a"'),
        PendingSeries(Schema("size", "native"), ""),
        PendingSeries(Schema("load", "gauge", ("instance_id",), mode="liveall"), 'instance_id=""'),
    )
    counts = NativeCounts(0, 0.001)
    counts.observe(3)
    with recorder.lock:
        recorder.add(jobs, 1, 5.0, weight=5.0)
        recorder.set_exemplar(jobs, 1, "=1=")
        recorder.observe(sizes, counts, 160, weight=1.0)
        recorder.hold(load)
    recorder.forget()
    recorder.renew()
    assert not recorder.pending
    with recorder.lock:
        recorder.touch(jobs)
        recorder.observe(sizes, NativeCounts(0, 0.001), 160, weight=0.0)
    families = {delta.schema.type: delta.series for delta in seal(recorder, 1).families}
    assert families == {"counter": (('queue="a"', ""),), "native": (("", "160 0 0 0 0 0.001 - -"),)}


def test_a_fork_leaves_what_is_unsent_to_the_first_process_that_takes_it() -> None:
    """The parent and its child each have all that was unsent, with removals, and one of them sends it."""
    recorder = Recorder()
    jobs = PendingSeries(JOBS, 'queue="a"')
    load = Schema("load", "gauge", ("instance_id",), mode="liveall")
    own = PendingSeries(load, f'instance_id="{INSTANCE_PLACE}"')
    with recorder.lock:
        recorder.add(jobs, 1, 5.0, weight=5.0)
        recorder.hold(own)
        recorder.replace(own, 2.0)
    recorder.remove(PendingSeries(JOBS, 'queue="b"'))
    recorder.clear(set(), WAIT)
    recorder.prepare_fork()
    recorder.lock.release()
    child = copy(recorder)
    child._inherited = deepcopy_series(recorder)
    child.start_in_child()
    parent_id = recorder.instance
    child.inherit()
    recorder.inherit()
    assert not recorder.pending
    sealed = {delta.schema.name: delta for delta in seal(child, 1).families}
    assert sealed["jobs"].series == (('queue="b"', "D"), ('queue="a"', "1 5.0"))
    assert sealed[WAIT.name].cleared == ("",)
    assert [text for text, _ in sealed["load"].series] == [f'instance_id="{parent_id}"']
    child.renew()  # it renews the parent's value in its place
    assert [text for delta in seal(child, 2).families for text, _ in delta.series] == [f'instance_id="{parent_id}"']


def deepcopy_series(recorder: Recorder) -> list[Inheritance]:
    """Copy what a fork would copy, with the claim that all processes share."""
    return [replace(each, series=deepcopy(each.series)) for each in recorder._inherited]


def test_a_process_that_forks_for_ever_keeps_little() -> None:
    """A process that never flushes, and counts between its forks, keeps eight inheritances at most, and every count."""
    recorder, jobs = Recorder(), PendingSeries(JOBS, 'queue="a"')
    for _ in range(100):
        with recorder.lock:
            recorder.add(jobs, 1, 1.0, weight=1.0)
        recorder.prepare_fork()
        recorder.lock.release()
        assert len(recorder._inherited) <= 8
    recorder.inherit()
    assert [delta.series for delta in seal(recorder, 1).families] == [(('queue="a"', "1 100.0"),)]


def test_a_signal_handler_may_count_while_a_child_forgets() -> None:
    """What a signal handler counts at that moment is kept, and the child goes on as a new writer."""
    recorder = Recorder()
    other = PendingSeries(JOBS, 'queue="b"')
    with recorder.lock:
        for number in range(3):
            series = PendingSeries(JOBS, f'queue="{number}"')
            series.amounts = InterruptedAmounts(float)
            recorder.add(series, 1, 1.0)
    del series
    InterruptedAmounts.handler = lambda: recorder.add(other, 1, 1.0)
    recorder.forget()
    InterruptedAmounts.handler = lambda: None
    assert [text for delta in seal(recorder, 1).families for text, _ in delta.series] == ['queue="b"']


def test_a_setting_tells_whether_it_is_a_new_one() -> None:
    """A value that is sent again to renew its lease is marked as old, and one that was set in the meantime as new."""
    recorder, load = Recorder(), PendingSeries(Schema("load", "gauge", mode="liveall"), "")
    with recorder.lock:
        recorder.hold(load)
        recorder.replace(load, 1.0)
    sealed = [seal(recorder, 1)]
    recorder.renew()
    sealed.append(seal(recorder, 2))
    with recorder.lock:
        recorder.replace(load, 1.0)
        recorder.set_exemplar(load, 1, "=1=a")
    sealed.append(seal(recorder, 3))
    news = [{family.series[0][1].split()[-1] for family in batch.families} for batch in sealed]
    assert news == [{"1"}, {"0"}, {"1"}]


class InterruptedTouches(dict[PendingSeries, None]):
    """Touched series; a signal handler runs once while they are listed."""

    def __init__(self, touched: Iterable[PendingSeries], handler: Callable[[], None]) -> None:
        super().__init__(dict.fromkeys(touched))
        self._handlers = [handler]

    def __iter__(self) -> Iterator[PendingSeries]:
        members = super().__iter__()
        yield next(members)
        while self._handlers:
            self._handlers.pop()()
        yield from members


def test_a_signal_handler_during_a_flush_costs_no_flush_and_no_count() -> None:
    """What it counts while the touched series are listed is in that batch."""
    recorder, series, other = Recorder(), PendingSeries(JOBS, 'queue="a"'), PendingSeries(JOBS, 'queue="b"')
    with recorder.lock:
        recorder.add(series, 1, 2.0)
    recorder.touched = InterruptedTouches(recorder.touched, lambda: recorder.add(other, 1, 3.0))
    [family] = seal(recorder, 1).families
    assert dict(family.series) == {'queue="a"': "1 2.0", 'queue="b"': "1 3.0"}
