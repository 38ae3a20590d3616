"""An instrument of our own that is not built yet, and groups of them once they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from types import MappingProxyType
from typing import Any, NamedTuple

from prometheus_client import Counter, Gauge, Histogram, Summary
from prometheus_client.metrics import MetricWrapperBase

from .shape import Shape, shape

__all__ = ["Declaration", "Group", "RequestGroup"]

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
    """The instruments of one concern, in the order of their declarations.

    It is no named tuple: a process builds few of the groups, and making such a class takes 0.1 ms of every cold start.
    """

    def __init__(self, _declarations: Iterable[Declaration], instruments: tuple[MetricWrapperBase, ...]) -> None:
        vars(self).update(zip(type(self).__annotations__, instruments, strict=True))
        self.members = instruments


class RequestGroup(Group):
    """Instruments of the requests to an app, by what they count; each as a function from facts to the labelled child.

    Which instruments there are is data: their number, names and labels may be others than those declared here.
    """

    def __init__(self, declarations: Iterable[Declaration], instruments: tuple[MetricWrapperBase, ...]) -> None:
        self.members = instruments
        self._by_counts: dict[str, list[Callable[[Mapping[str, str]], Any]]] = {}
        for declaration, instrument in zip(declarations, instruments, strict=True):
            facts = (*(declaration.facts or declaration.labelnames), *declaration.further_labels(shape()))
            if shape().names:
                from .preset_children import preset_child  # few programs come from another library

                amounts = declaration.kind is Counter and declaration.counts != "requests"
                child = preset_child(instrument, facts, declaration.needs, declaration.twice_with, is_total=amounts)
            else:
                child = _child_of_facts(instrument, facts)
            self._by_counts.setdefault(declaration.counts, []).append(child)

    def that_count(self, what: str) -> tuple[Callable[[Mapping[str, str]], Any], ...]:
        """Return the instruments that count this."""
        return tuple(self._by_counts.get(what, ()))


def _child_of_facts(instrument: Any, facts: tuple[str, ...]) -> Callable[[Mapping[str, str]], Any]:
    if not facts:
        return lambda _values: instrument
    pick: Any = itemgetter(*facts)
    if len(facts) == 1:
        return lambda values: instrument.labels(pick(values))
    return lambda values: instrument.labels(*pick(values))
