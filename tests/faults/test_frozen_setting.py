"""A frozen instance that goes on with an old setting: the newer setting of another instance stays."""

from __future__ import annotations

import time

import pytest

from lib.kairo_metrics.delivery.flusher import Flusher
from lib.kairo_metrics.instruments.pending_series import PendingSeries
from lib.kairo_metrics.instruments.recorder import Recorder
from lib.kairo_metrics.model.moment import Clocks
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.store.redis_store import RedisStore
from lib.kairo_metrics.store.store_interface import Store
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.instance import Instance, page, settings

LATEST = Schema("temperature", "gauge", (), mode="mostrecent")
BUILD = Schema("build", "info")
FROZEN_S = 60.0


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Store:
    """Give a store of each kind."""
    if request.param == "memory":
        return MemoryStore(settings())
    return RedisStore(settings(request.getfixturevalue("redis_url")))


class Sleeper(Instance):
    """An instance that may be frozen from its first setting to its thaw.

    The test takes some milliseconds, during which a monotonic clock that stands still would not advance. So before the
    thaw it shows a second more than the real one.
    """

    def __init__(self, store: Store, *, frozen: bool) -> None:
        self._frozen = frozen
        clocks: Clocks = (
            lambda: time.monotonic() + self._frozen * 1.0,
            lambda: time.time() - self._frozen * FROZEN_S,
        )
        super().__init__(store, recorder := Recorder(clocks), Flusher(recorder, store, settings()))

    def set(self, schema: Schema, value: float | str) -> None:
        with self.recorder.lock:
            self.recorder.replace(PendingSeries(schema, ""), value)

    def seal(self) -> None:
        self.flusher._outbox.next()

    def thaw(self) -> None:
        self._frozen = False


@pytest.mark.parametrize("sealed", [False, True], ids=["recorded before the freeze", "sealed before the freeze"])
@pytest.mark.parametrize(
    ("schema", "old", "new", "shown"),
    [
        (LATEST, 1.0, 2.0, "temperature 2"),
        (BUILD, '=version="1"', '=version="2"', 'build_info{version="2"} 1'),
    ],
    ids=["gauge", "info"],
)
async def test_an_old_setting_does_not_win_after_a_thaw(  # noqa: PLR0913, PLR0917  four parameters and a fixture
    store: Store, schema: Schema, old: float | str, new: float | str, shown: str, sealed: bool
) -> None:
    """An instance that was frozen before it could send its setting does not replace a newer one of another instance."""
    frozen, awake = Sleeper(store, frozen=True), Sleeper(store, frozen=False)
    frozen.set(schema, old)
    if sealed:
        frozen.seal()
    awake.set(schema, new)
    await awake.flusher.aflush()
    frozen.thaw()
    await frozen.flusher.aflush()
    text = await page(store)
    await awake.close()
    assert shown in text.splitlines()
