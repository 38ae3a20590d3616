"""The process's own pipeline, opened anew for a test, and a way to read what it has delivered."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from lib.kairo_metrics.delivery import process_pipeline
from lib.kairo_metrics.delivery.pipeline import Pipeline
from lib.kairo_metrics.instruments.recorder import RECORDER
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.instance import samples, settings

__all__ = ["Recording", "recording"]


class Recording:
    """What the instruments of this process have counted during a test."""

    def __init__(self, opened: Pipeline) -> None:
        self.pipeline = opened

    @property
    def store(self) -> MemoryStore:
        """Return the store that the pipeline delivers to."""
        assert isinstance(self.pipeline.store, MemoryStore)
        return self.pipeline.store

    async def samples(self, prefix: str) -> dict[str, float]:
        """Flush, and return the samples whose line begins with this prefix."""
        await self.pipeline.flusher.aflush()
        return await samples(self.store, prefix)

    async def counted(self, prefix: str) -> dict[str, float]:
        """Return the same samples without those at zero."""
        return {sample: value for sample, value in (await self.samples(prefix)).items() if value}

    async def only(self, prefix: str) -> float:
        """Return the value of the one sample."""
        (value,) = (await self.samples(prefix)).values()
        return value


@pytest.fixture
async def recording() -> AsyncIterator[Recording]:
    """Open the process's pipeline on a memory store, with nothing pending."""
    RECORDER.forget()
    RECORDER.followers.clear()
    process_pipeline.close_pipeline()
    chosen = settings()
    opened = process_pipeline.open_pipeline(chosen, MemoryStore(chosen))
    assert opened is not None
    RECORDER.forget()
    yield Recording(opened)
    process_pipeline.close_pipeline()
