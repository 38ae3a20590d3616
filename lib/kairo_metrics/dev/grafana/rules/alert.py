"""An alert as data, and its text in a file of rules."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Alert"]

_WIDTH = 116
# The system in a description: its job, and its environment if it has one.
_SYSTEM = "{{ $labels.job }}{{ with $labels.environment }} ({{ . }}){{ end }}"
_RUNBOOK = "{{ with $externalLabels.runbooks }}{{ . }}{{ else }}@{runbooks}{{ end }}"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert; its texts have fields of `System.filled`.

    Args:
        name: its name, and that of its section in the runbooks.
        expr: PromQL.
        summary: a few words.
        description: a sentence with the numbers; `@system` stands for job and environment.
        wait: how long the expression must hold, such as `5m`; empty if not at all.
        is_critical: whether somebody must look at once.
        about: the part of a system that it watches; empty for what every system has.
        comment: why the expression is as it is.
    """

    name: str
    expr: str
    summary: str
    description: str
    wait: str = ""
    is_critical: bool = False
    about: str = ""
    comment: str = ""

    @property
    def severity(self) -> str:
        """The label "severity"."""
        return "critical" if self.is_critical else "warning"

    def lines(self) -> Iterator[str]:
        """Yield its lines in a file of rules, without indentation."""
        yield from (f"# {line}" for line in textwrap.wrap(self.comment, _WIDTH - 8))
        yield f"- alert: {self.name}"
        yield "  expr: |"
        yield from textwrap.indent(textwrap.dedent(self.expr).strip(), " " * 4).splitlines()
        if self.wait:
            yield f"  for: {self.wait}"
        yield "  labels:"
        yield f"    severity: {self.severity}"
        yield "  annotations:"
        yield f"    summary: {self.summary}"
        yield "    description: >-"
        text = self.description.replace("@system", _SYSTEM)
        yield from (
            f"      {line}" for line in textwrap.wrap(text, _WIDTH - 12, break_long_words=False, break_on_hyphens=False)
        )
        yield f"    runbook_url: '{_RUNBOOK}#{self.name.lower()}'"
