"""What was sent, applied, counted as lost, and lost with a writer that had ended."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from lib.kairo_metrics.model.schema import Schema

__all__ = ["COUNTED", "FAMILIES", "JOBS", "LATEST", "PAUSE", "SHARES", "SIZE", "WAIT", "Books"]

JOBS = Schema("jobs", "counter", ("queue",))
WAIT = Schema("wait", "histogram", ("queue",), ("1.0", "4.0", "+Inf"))
PAUSE = Schema("pause", "summary")
SIZE = Schema("size", "native", (), ("1.0", "4.0", "+Inf"))
SHARES = Schema("shares", "gauge", mode="sum")
LATEST = Schema("latest", "gauge", mode="mostrecent")
# The samples that add up to what was recorded, by family. LATEST is missing: of a set gauge only the last value counts.
COUNTED = {
    JOBS.name: "jobs_total",
    WAIT.name: "wait_count",
    PAUSE.name: "pause_count",
    SIZE.name: "size_count",
    SHARES.name: "shares",
}
FAMILIES = tuple(COUNTED)


@dataclass(slots=True)
class Books:
    """The result of a fault.

    Args:
        sent: what instances recorded, by family.
        applied: what the page shows, by family.
        lost: what the page counts as lost, by family.
        gone: what the store lost after its writer had ended, by family.
        samples: what each sample must be if nothing is lost.
        wrong: the failures, in sentences.
        facts: what was measured or counted.
    """

    sent: Counter[str] = field(default_factory=Counter)
    applied: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    gone: Counter[str] = field(default_factory=Counter)
    samples: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)

    def record(self, family: str, amount: int, samples: dict[str, float]) -> None:
        """Add what an instance records.

        Args:
            family: its name.
            amount: what it adds to the family's count.
            samples: what it adds to each sample.
        """
        self.sent[family] += amount
        for name, value in samples.items():
            self.samples[name] = self.samples.get(name, 0.0) + value

    def read(self, page: dict[str, float], *, may_lose: bool, last_set: float | None) -> None:
        """Compare with a page.

        Args:
            page: its samples.
            may_lose: whether the fault may lose something, if it is counted.
            last_set: the last value of the set gauge, if only one instance set it.
        """
        for family, name in COUNTED.items():
            self.applied[family] = round(sum(value for key, value in page.items() if key.partition("{")[0] == name))
            self.lost[family] = round(page.get(f'kairo_samples_lost_total{{family="{family}"}}', 0.0))
            difference = self.applied[family] + self.lost[family] + self.gone[family] - self.sent[family]
            if difference:
                self.wrong.append(f"{family}: {difference:+} compared with {self.sent[family]} sent")
        if not self.sent:
            self.wrong.append("nothing was sent")
        if self.lost.total() and not may_lose:
            self.wrong.append(f"{self.lost.total()} counted as lost though instances still kept them")
        if not self.lost.total() and not self.gone.total():
            self.wrong += [
                f"{name} is {page.get(name)}, expected {value}"
                for name, value in sorted(self.samples.items())
                if page.get(name) != value
            ]
        if last_set is not None and page.get(LATEST.name) != last_set:
            self.wrong.append(f"the gauge is {page.get(LATEST.name)}, but was last set to {last_set}")
        self._check_buckets(page)

    def _check_buckets(self, page: dict[str, float]) -> None:
        for name, count in page.items():
            if name.partition("{")[0] != "wait_count":
                continue
            labels = name.partition("{")[2].removesuffix("}")
            buckets = [page.get(f'wait_bucket{{{labels},le="{bound}"}}', -1.0) for bound in WAIT.bounds]
            if buckets != sorted(buckets) or buckets[-1] != count:
                self.wrong.append(f"the buckets of {name} are {buckets}, and its count is {count}")
