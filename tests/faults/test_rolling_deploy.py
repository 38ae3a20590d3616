"""A rolling deploy: instances of the previous version share the state with current ones, also after a rollback.

Recorded from the last version without an account of recoveries: its script, and the batches of one of its
instances as sent.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.instance import Start
from tests.support.rollback import A, Page, Site, add, end_recovery

GOLDEN = Path(__file__).parents[1] / "golden"
SCRIPT = (GOLDEN / "before-recovery.lua").read_text()
BATCHES: list[list[str | int]] = json.loads((GOLDEN / "before-recovery.json").read_text())
OLD = {'jobs_total{queue="old"}', 'wait_seconds_count{queue="old"}', 'shares{queue="old"}'}


class OldInstance:
    """An instance of the previous version: each batch counts a job, a wait and a share."""

    def __init__(self, client: Any) -> None:
        self._client = client
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
        keys, *words = BATCHES[number - 1]
        words[int(keys) + 6] = int(replayed)
        answer: list[Any] = self._client.eval(SCRIPT, keys, *words)
        return answer


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
