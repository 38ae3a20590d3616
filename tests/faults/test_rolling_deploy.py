"""A rolling deploy: instances of the previous version share the state with current ones, also after a rollback.

Recorded from the last version without an account of recoveries: its script, and the batches of one of its
instances as sent.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.instance import JOBS, Start
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
