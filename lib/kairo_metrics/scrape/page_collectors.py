"""The collectors of the program, run for a page: each in a thread of its own, and within a time limit."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from .custom_collectors import custom_collectors

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Metric

    from .collected import Collected

__all__ = ["CollectorRuns", "Outcome", "PageCollector", "page_collectors"]

_log = logging.getLogger("kairo_metrics")


@dataclass(frozen=True, slots=True)
class PageCollector:
    """A collector that runs for each page.

    Args:
        name: its class, or `target_info`.
        key: tells it from others.
        collect: returns its families.
    """

    name: str
    key: object
    collect: Callable[[], Iterable[Metric]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a collector gives to one page.

    Args:
        name: the collector's.
        collected: its families; None if it has failed.
        problem: `raised` or `slow` if it has failed.
    """

    name: str
    collected: Collected | None = None
    problem: str = ""

    @property
    def problems(self) -> dict[str, int]:
        """By the reason, how many samples are left out; 1 for all samples of a collector that has failed."""
        return {self.problem: 1} if self.collected is None else self.collected.left_out


def page_collectors(registries: Iterable[CollectorRegistry]) -> Iterator[PageCollector]:
    """Return what of these registries runs for each page.

    Args:
        registries: see `custom_collectors`. Of two families with one name the first is shown.
    """
    for registry, collector in custom_collectors(registries):
        if collector is None:
            yield PageCollector("target_info", ("target_info", id(registry)), _target_info_of(registry))
        else:
            kind = type(collector)
            yield PageCollector(f"{kind.__module__}.{kind.__qualname__}", id(collector), _collect_of(collector))


def _target_info_of(registry: CollectorRegistry) -> Callable[[], Iterable[Metric]]:
    return lambda: [registry._target_info_metric()]  # noqa: SLF001


def _collect_of(collector: Any) -> Callable[[], Iterable[Metric]]:
    return lambda: collector.collect()  # noqa: PLW0108  it may have no such method, which is its own failure


class CollectorRuns:
    """Runs collectors for one page after the other.

    Pages that are made at the same time share a run. A collector that has not come to its end by the time of the page
    is not run again meanwhile, and no other page waits for it.
    """

    def __init__(self) -> None:
        # By the collector's key, its run, and when the page needs it for which it was started.
        self._running: dict[object, tuple[Future[Outcome], float]] = {}
        self._logged: set[tuple[str, str]] = set()

    def start(self, registries: Iterable[CollectorRegistry], end_s: float) -> list[tuple[str, Future[Outcome] | None]]:
        """Start the collectors of these registries, and return the name and the coming outcome of each.

        Args:
            registries: see `page_collectors`.
            end_s: when the page needs the outcomes, by `time.perf_counter`.
        """
        runs: list[tuple[str, Future[Outcome] | None]] = []
        self._running = {key: run for key, run in self._running.items() if not run[0].done()}
        for collector in page_collectors(registries):
            if collector.key in self._running:
                running, needed_s = self._running[collector.key]
                runs.append((collector.name, running if time.perf_counter() < needed_s else None))
                continue
            future: Future[Outcome] = Future()
            future.set_running_or_notify_cancel()
            self._running[collector.key] = future, end_s
            run = threading.Thread(target=self._run, args=(collector, future, end_s), daemon=True)
            try:
                run.start()
            except RuntimeError:  # the system has no more threads
                self._run(collector, future, end_s)
            runs.append((collector.name, future))
        return runs

    def _run(self, collector: PageCollector, future: Future[Outcome], end_s: float) -> None:
        from .collected import families_of  # few programs have a collector

        try:
            in_time = takewhile(lambda _: time.perf_counter() < end_s, collector.collect())
            outcome = Outcome(collector.name, families_of(in_time, int(time.time() * 1000)))
        except BaseException as err:  # noqa: BLE001  whatever it raises, the page is made
            self._log_once(collector.name, "raised", err)
            outcome = Outcome(collector.name, problem="raised")
        future.set_result(outcome)

    async def outcomes(self, runs: Sequence[tuple[str, Future[Outcome] | None]], end_s: float) -> list[Outcome]:
        """Wait for the collectors, at most until the page needs them.

        Args:
            runs: what `start` has returned.
            end_s: as there.
        """
        waiting = [asyncio.wrap_future(future) for _, future in runs if future is not None]
        if waiting:
            try:
                await asyncio.wait(waiting, timeout=max(0.0, end_s - time.perf_counter()))
            finally:
                for future in waiting:
                    future.cancel()
        return [self._outcome_of(name, future) for name, future in runs]

    def _outcome_of(self, name: str, future: Future[Outcome] | None) -> Outcome:
        outcome = future.result() if future is not None and future.done() else Outcome(name, problem="slow")
        for reason in outcome.problems:
            self._log_once(name, reason)
        return outcome

    def _log_once(self, name: str, reason: str, err: BaseException | None = None) -> None:
        if (name, reason) not in self._logged:
            self._logged.add((name, reason))
            _log.warning(
                "the page lacks something of the collector %s: %s; kairo_collector_problems counts it",
                name,
                reason,
                exc_info=err,
            )
