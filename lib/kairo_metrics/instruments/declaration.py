"""An instrument of our own that is not built yet, and a group of them once they are.

Neither is a named tuple: to make such a class takes half a millisecond of every cold start.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..model.delivery_metrics import OWN_PREFIX

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge, Histogram, Summary
    from prometheus_client.metrics import MetricWrapperBase

    from .shape import Shape

__all__ = ["NO_OPTIONS", "Declaration", "Group"]

NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


class Declaration:
    """An instrument that is not built yet.

    Args:
        kind: its class.
        name: without the prefix.
        text: its help text.
        labelnames: without the further labels.
        options: further arguments of the class.
        buckets_of: the durations whose buckets can be chosen that it measures, such as "http".
        counts: what of a request it counts: "requests", "seconds", "errors", "in_progress", "request_bytes" or
            "response_bytes". Such an instrument has the further labels.
    """

    def __init__(  # noqa: PLR0913  what instruments differ in
        self,
        kind: type[Counter | Gauge | Histogram | Summary],
        name: str,
        text: str,
        labelnames: tuple[str, ...],
        options: Mapping[str, Any] = NO_OPTIONS,
        *,
        buckets_of: str = "",
        counts: str = "",
    ) -> None:
        self.kind = kind
        self.name = name
        self.text = text
        self.labelnames = labelnames
        self.options = options
        self.buckets_of = buckets_of
        self.counts = counts

    def named(self, prefix: str) -> str:
        """Return the name with the prefix, if it has one."""
        return self.name if self.name.startswith(OWN_PREFIX) else f"{prefix}{self.name}"

    def further_labels(self, chosen: Shape) -> tuple[str, ...]:
        """Return the names of its further labels."""
        if not self.counts:
            return ()
        return (chosen.early_labels if self.counts == "in_progress" else chosen.labels) or ()

    def shaped(self, chosen: Shape) -> tuple[Any, ...]:
        """Return what makes its schema: its label names and buckets."""
        buckets = dict(chosen.buckets or ()).get(self.buckets_of, self.options.get("buckets"))
        return (*self.labelnames, *self.further_labels(chosen)), buckets


class Group:
    """The instruments of one concern, built as they are declared; a field for each, in the order of the declarations.

    Args:
        declarations: those of the instruments.
        members: the instruments.
        shape: in which they were built.
    """

    declared: tuple[Declaration, ...]

    def __init__(
        self, declarations: tuple[Declaration, ...], members: tuple[MetricWrapperBase, ...], shape: Shape
    ) -> None:
        self.declarations = declarations
        self.members = members
        self.shape = shape
        vars(self).update(zip(type(self).__annotations__, members, strict=False))  # those of requests have no fields
