"""A rolling deploy: instances of earlier versions share the state with current ones, also after a rollback.

Recorded from the last version without an account of recoveries: its script, and the batches of one of its
instances as sent. From the last version in which a batch counted itself: its script, and how it laid out a batch.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lib.kairo_metrics.delivery.flusher import Flusher
from lib.kairo_metrics.instruments.recorder import Recorder
from tests.support.instance import JOBS, WAIT, Instance, Start, settings
from tests.support.previous_version import PreviousStore
from tests.support.rollback import A, Page, Site, add, end_recovery

GOLDEN = Path(__file__).parents[1] / "golden"
SCRIPT = (GOLDEN / "before-recovery.lua").read_text()
BATCHES: list[list[str | int]] = json.loads((GOLDEN / "before-recovery.json").read_text())
OLD = {'jobs_total{queue="old"}', 'wait_seconds_count{queue="old"}', 'shares{queue="old"}'}


class OldInstance:
    """An instance of the previous version: each batch counts a job, a wait and a share.

    Args:
        client: of the Redis.
        jobs: the name of the family that counts jobs.
    """

    def __init__(self, client: Any, jobs: str = "jobs") -> None:
        self._client = client
        field = jobs.replace("\n", r"\n")
        # The keys, the index field, the metadata and the label of the overflow, as the previous version wrote them.
        self._renamed = [
            (":series:jobs:", f":series:{field.replace(' ', ':')}:"),
            ("jobs edcb", f"{field} edcb"),
            ('"name": "jobs"', f'"name": {json.dumps(jobs)}'),
            ('family="jobs"', f'family="{field}"'),
        ]
        self._sent = 0

    def send(self, batches: int = 1) -> None:
        """Send this number of further batches; send again what the store has lost, as the previous version did."""
        for _ in range(batches):
            self._sent += 1
            verdict, *expected = self._send(self._sent)
            if verdict == b"gap":
                for number in range(expected[0], self._sent + 1):
                    assert self._send(number, replayed=number == expected[0])[0] == b"applied"
            else:
                assert verdict == b"applied"

    def send_again(self) -> bytes:
        """Send the last batch once more, as after a lost reply; return the verdict."""
        verdict: bytes = self._send(self._sent)[0]
        return verdict

    def _send(self, number: int, *, replayed: bool = False) -> list[Any]:
        keys, *words = [self._rename(word) if isinstance(word, str) else word for word in BATCHES[number - 1]]
        words[int(keys) + 6] = int(replayed)
        answer: list[Any] = self._client.eval(SCRIPT, keys, *words)
        return answer

    def _rename(self, word: str) -> str:
        for before, after in self._renamed:
            word = word.replace(before, after)
        return word


@pytest.fixture
def site(start: Start, redis_url: str, redis_client: Any) -> Site:
    return Site(start, redis_url, redis_client)


async def test_old_and_new_instances_count_into_one_state(site: Site) -> None:
    """In any order nothing is lost or counted twice, and a batch sent again is a duplicate for both versions."""
    old, new = OldInstance(site.client), site.writer()
    old.send(2)
    await add(new, 2)
    site.client.script_flush()
    old.send()
    assert old.send_again() == b"duplicate"
    await add(new)
    shown = await site.page()()
    assert {shown[name] for name in OLD} == {shown[A], shown['shares{queue="a"}']} == {3.0}
    assert shown['kairo_batches_total{outcome="applied"}'] == 6.0
    assert not [name for name in shown if name.startswith("kairo_quarantined_fields") and shown[name]]


@pytest.mark.parametrize("old_first", [False, True])
async def test_both_versions_send_again_what_the_store_lost(
    site: Site, monkeypatch: pytest.MonkeyPatch, *, old_first: bool
) -> None:
    """If the store goes back during a deploy, both versions send again, and old instances go on after a rollback."""
    old, new, page = OldInstance(site.client), site.writer(), site.page()
    old.send()
    await add(new)
    disk = site.disk()
    old.send()
    await add(new, 2)
    assert (await page())[A] == 3.0
    disk.load()
    if old_first:
        old.send()
        await add(new)
    else:
        await add(new)
        old.send()
    end_recovery(monkeypatch)  # old instances do not report what they send again, so pages wait the whole time
    for shown in (await page(), await site.page()()):
        assert {shown[name] for name in OLD} == {3.0}
        assert shown[A] == shown['shares{queue="a"}'] == 4.0
        assert not [
            name for name in shown if name.startswith(("kairo_samples_lost", "kairo_samples_rest")) and shown[name]
        ]
    old.send()
    assert (await Page(new)())['jobs_total{queue="old"}'] == 4.0


@pytest.mark.parametrize("name", ["a b", "a\nb"])
@pytest.mark.parametrize("old_first", [False, True])
async def test_a_name_with_a_blank_or_a_line_break_starts_again_from_zero(
    site: Site, name: str, *, old_first: bool
) -> None:
    """The page shows what current instances count of it, and of other families all; nothing is called damaged."""
    old, new, schema = OldInstance(site.client, name), site.writer(), JOBS.changed(name=name)
    for turn in range(4):
        if (turn % 2 == 0) == old_first:
            old.send()
        else:
            new.add('queue="a"', schema=schema)
            await add(new)
    shown = await site.page()()
    assert {sample: value for sample, value in shown.items() if sample.startswith("a_b_total")} == {
        'a_b_total{queue="a"}': 2.0
    }
    assert shown['wait_seconds_count{queue="old"}'] == shown['shares{queue="old"}'] == shown[A] == 2.0
    assert shown['kairo_batches_total{outcome="applied"}'] == 4.0
    assert not [name for name in shown if name.startswith(("kairo_quarantined", "kairo_samples_lost")) and shown[name]]
    assert old.send_again() == b"duplicate"


APPLIED = 'kairo_batches_total{outcome="applied"}'


async def use(instance: Instance) -> None:
    """Send what nearly all batches hold: a job and a wait."""
    instance.add('queue="a"')
    instance.add('queue="a"', 0.5, schema=WAIT, index=1)
    instance.add('queue="a"', 1.0, schema=WAIT, index=3)
    await instance.flusher.aflush()


def previous(redis_url: str) -> Instance:
    """Start an instance of the version in which a batch counted itself."""
    chosen = settings(redis_url)
    store, recorder = PreviousStore(chosen), Recorder()
    return Instance(store, recorder, Flusher(recorder, store, chosen))


@pytest.mark.parametrize("order", ["onnonno", "noonoon", "nnnoooo", "ooonnnn"])
async def test_batches_count_once_in_both_versions(site: Site, redis_url: str, order: str) -> None:
    """After each batch of either version, the page has exactly what was counted, batches included."""
    old, new, page = previous(redis_url), site.writer(), site.page()
    for number, version in enumerate(order, start=1):
        await use(old if version == "o" else new)
        shown = await page()
        assert (shown[A], shown['wait_seconds_count{queue="a"}'], shown['wait_seconds_sum{queue="a"}']) == (
            number,
            number,
            number / 2,
        )
        assert shown[APPLIED] == number
    assert not [name for name in shown if name.startswith(("kairo_quarantined", "kairo_samples_lost")) and shown[name]]
    await old.close()


@pytest.mark.parametrize("old_first", [False, True])
async def test_both_versions_repair_a_loss(
    site: Site, redis_url: str, monkeypatch: pytest.MonkeyPatch, *, old_first: bool
) -> None:
    """A state that went back is completed by instances of both versions, and goes on to count exactly."""
    instances = previous(redis_url), site.writer()
    page = site.page()
    for instance in instances:
        await use(instance)
    disk = site.disk()
    for _ in range(3):
        for instance in instances:
            await use(instance)
    assert (await page())[APPLIED] == 8
    disk.load()
    for instance in instances if old_first else instances[::-1]:
        await use(instance)
    end_recovery(monkeypatch)
    for _ in range(2):
        for instance in instances:
            await use(instance)
    for reader in (page, site.page()):
        shown = await reader()
        assert shown[A] == shown['wait_seconds_count{queue="a"}'] == shown[APPLIED] == 14
    await instances[0].close()


async def test_a_restoration_is_counted_in_both_versions(
    site: Site, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a page writes back of the count of batches stays, whichever version counts the next ones."""
    old, new, ended, page = previous(redis_url), site.writer(), site.writer(), site.page()
    for instance in (old, new, ended):
        await use(instance)
    disk = site.disk()
    for _ in range(3):
        await use(ended)
    assert (await page())[APPLIED] == 6
    disk.load()
    end_recovery(monkeypatch)
    await page()  # it writes back what nobody sends again
    restored = (await page())[APPLIED]
    assert restored >= 6
    for number, instance in enumerate((new, old, new, new, old), start=1):
        await use(instance)
        assert (await page())[APPLIED] == restored + number
    assert (await site.page()())[APPLIED] == restored + 5
    await old.close()
