"""The report of `make chaos`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tests.faults.chaos.books import FAMILIES, Books
from tests.faults.chaos.faults import Run
from tests.faults.chaos.trials import Found, Trial
from tests.faults.simulation.__main__ import Outcome
from tests.faults.simulation.schedule import STEPS

__all__ = ["Chaos", "Played", "Tried", "page"]

_FAILURES_SHOWN = 20
_COLUMNS = "sent", "applied", "lost", "gone"


@dataclass(frozen=True, slots=True)
class Played:
    """A fault that was run.

    Args:
        run: the fault and its parameters.
        books: its result.
        seconds: its duration.
    """

    run: Run
    books: Books
    seconds: float


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial that was run.

    Args:
        trial: the trial and its parameters.
        found: its result.
        seconds: its duration.
    """

    trial: Trial
    found: Found
    seconds: float


@dataclass(frozen=True, slots=True)
class Chaos:
    """The results of a whole run.

    Args:
        seeds: the seeds of the simulated schedules.
        outcome: their outcome.
        seconds: their duration.
        played: the faults.
        tried: the trials.
    """

    seeds: range
    outcome: Outcome
    seconds: float
    played: list[Played]
    tried: list[Tried]

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        wrong = [*(one.books.wrong for one in self.played), *(one.found.wrong for one in self.tried)]
        return not self.outcome.failures and not any(wrong)


def page(chaos: Chaos) -> str:
    """Return the report: simulation, faults, families, trials, and for each failure the command that repeats it."""
    lines = [f"Chaos: {'everything passed' if chaos.passed else 'SOMETHING FAILED'}", ""]
    if seeds := chaos.seeds:
        done = f"{len(seeds):,} schedules of {STEPS} steps, seeds {seeds.start} to {seeds.stop - 1}"
        lines += [f"simulation: {done}, {chaos.seconds:.0f} s: {len(chaos.outcome.failures)} failed", ""]
    if chaos.played:
        lines += [*_faults(chaos.played), "", *_families(chaos.played), ""]
    if chaos.tried:
        lines += [*_trials(chaos.tried), ""]
    lines += _failures(chaos)
    return "\n".join(lines)


def _faults(played: list[Played]) -> Iterator[str]:
    yield _row("fault (with 1 and with 4 shards)", "seed", *_COLUMNS, "seconds")
    for name in dict.fromkeys(one.run.name for one in played):
        same = [one for one in played if one.run.name == name]
        totals = [sum(getattr(one.books, column).total() for one in same) for column in _COLUMNS]
        yield _row(name, same[0].run.seed, *totals, round(sum(one.seconds for one in same)))
        if facts := same[0].books.facts:
            yield f"    {'; '.join(facts)}"


def _families(played: list[Played]) -> Iterator[str]:
    yield _row("family", "", *_COLUMNS, "difference")
    for family in FAMILIES:
        sent, applied, lost, gone = (
            sum((getattr(one.books, column) for one in played), Counter[str]())[family] for column in _COLUMNS
        )
        yield _row(family, "", sent, applied, lost, gone, applied + lost + gone - sent)


def _trials(tried: list[Tried]) -> Iterator[str]:
    yield _row("trial", "seed", "seconds")
    for one in tried:
        yield _row(one.trial.name, one.trial.seed, round(one.seconds))
        yield from (f"    {fact}" for fact in one.found.facts)


def _row(first: str, second: object, *others: object) -> str:
    words = [f"{word:,}" if isinstance(word, int) else str(word) for word in others]
    return f"{first:<38}{second!s:>6}" + "".join(f"{word:>11}" for word in words)


def _failures(chaos: Chaos) -> Iterator[str]:
    for seed, err in list(chaos.outcome.failures.items())[:_FAILURES_SHOWN]:
        yield f"FAILED  seed {seed}: {err}"
    done: list[tuple[Run | Trial, list[str]]] = [
        *((one.run, one.books.wrong) for one in chaos.played),
        *((one.trial, one.found.wrong) for one in chaos.tried),
    ]
    for asked, wrong in done:
        if wrong:
            yield f"FAILED  {asked}: {'; '.join(wrong[:_FAILURES_SHOWN])}"
            yield f"        {asked.command}"
