"""An instrument of our own that is not built yet, and a group of them once they are."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from prometheus_client import Counter, Gauge, Histogram, Summary
from prometheus_client.metrics import MetricWrapperBase

from .shape import Shape

__all__ = ["Declaration", "Group"]

# These families tell of the delivery and not of the program, and have no prefix.
_DELIVERY = "kairo_"


class Declaration(NamedTuple):
    """An instrument that is not built yet.

    Args:
        kind: its class.
        name: without the prefix.
        help: its help text.
        labelnames: without the further labels.
        options: further arguments of the class.
        buckets_of: the durations whose buckets can be chosen that it measures, such as "http".
        counts: what of a request it counts: "requests", "seconds", "errors", "in_progress", "request_bytes" or
            "response_bytes". Such an instrument has the further labels. Presets count lengths as well.
        facts: of each label the fact of the request that is its value, where it has another name than the label.
        needs: it counts only the requests of which these facts are known; for presets.
        twice_with: it counts a request twice of which this fact is known; for presets.
        has_further_labels: whether it has the further labels, if it counts something of a request.
        has_prefix: whether its name gets the prefix.
    """

    kind: type[Counter | Gauge | Histogram | Summary]
    name: str
    help: str
    labelnames: tuple[str, ...]
    options: Mapping[str, Any] = MappingProxyType({})
    buckets_of: str = ""
    counts: str = ""
    facts: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    twice_with: str = ""
    has_further_labels: bool = True
    has_prefix: bool = True

    def named(self, prefix: str) -> str:
        """Return the name with the prefix, if it has one."""
        return f"{prefix}{self.name}" if self.has_prefix and not self.name.startswith(_DELIVERY) else self.name

    def further_labels(self, chosen: Shape) -> tuple[str, ...]:
        """Return the names of its further labels."""
        if not self.counts or not self.has_further_labels:
            return ()
        return (chosen.early_labels if self.counts == "in_progress" else chosen.labels) or ()

    def shaped(self, chosen: Shape) -> tuple[Any, ...]:
        """Return what makes its schema: its label names and buckets."""
        buckets = dict(chosen.buckets or ()).get(self.buckets_of, self.options.get("buckets"))
        return (*self.labelnames, *self.further_labels(chosen)), buckets


class Group:
    """The instruments of one concern, built as they are declared; a field for each, in the order of the declarations.

    It is no named tuple: a process builds few of the groups, and making such a class takes 0.1 ms of every cold start.

    Args:
        declarations: those of the instruments.
        members: the instruments.
    """

    declared: tuple[Declaration, ...]

    def __init__(self, declarations: tuple[Declaration, ...], members: tuple[MetricWrapperBase, ...]) -> None:
        self.declarations = declarations
        self.members = members
        vars(self).update(zip(type(self).__annotations__, members, strict=False))  # those of requests have no fields
