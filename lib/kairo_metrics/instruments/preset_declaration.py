"""An instrument of a preset that is not built yet."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any

from .declaration import NO_OPTIONS, Declaration

if TYPE_CHECKING:
    from .shape import Shape

__all__ = ["PresetDeclaration"]


class PresetDeclaration(Declaration):
    """An instrument of a preset that is not built yet; see `Declaration`.

    Args:
        kind: its class.
        name: without the prefix.
        text: its help text.
        labels: of each label the fact of the request that is its value.
        counts: what of a request it counts; presets count lengths as well.
        options: further arguments of the class.
        buckets_of: the durations whose buckets can be chosen that it measures, such as "http".
        needs: it counts only the requests of which these facts are known.
        twice_with: it counts a request twice of which this fact is known.
        has_further_labels: whether it has the further labels.
        has_prefix: whether its name gets the prefix.
    """

    def __init__(  # noqa: PLR0913  what the instruments of other libraries differ in
        self,
        kind: Any,
        name: str,
        text: str,
        labels: Mapping[str, str],
        counts: str,
        *,
        options: Mapping[str, Any] = NO_OPTIONS,
        buckets_of: str = "",
        needs: tuple[str, ...] = (),
        twice_with: str = "",
        has_further_labels: bool = True,
        has_prefix: bool = True,
    ) -> None:
        super().__init__(kind, name, text, tuple(labels), options, buckets_of=buckets_of, counts=counts)
        self.facts = tuple(labels.values())
        self.needs = needs
        self.twice_with = twice_with
        self._has_further_labels = has_further_labels
        self._has_prefix = has_prefix

    def named(self, prefix: str) -> str:
        """Return the name with the prefix, if it has one."""
        return super().named(prefix) if self._has_prefix else self.name

    def further_labels(self, chosen: Shape) -> tuple[str, ...]:
        """Return the names of its further labels."""
        return super().further_labels(chosen) if self._has_further_labels else ()

    def renamed(self, name: str, *, has_prefix: bool = True) -> PresetDeclaration:
        """Return the declaration of the same instrument with another name."""
        changed = copy(self)
        changed.name, changed._has_prefix = name, has_prefix  # noqa: SLF001  its own copy
        return changed
