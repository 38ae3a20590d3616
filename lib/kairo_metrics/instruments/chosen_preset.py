"""What a preset does to the options of an app and to our declarations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from ..config.options import RequestOptions
from .declaration import Declaration, Group
from .presets import PRESETS, Preset

__all__ = ["completed", "declarations_under", "preset_of"]


def preset_of(names: str) -> Preset:
    """Return the preset with this name."""
    return PRESETS[names]()


def completed(options: RequestOptions | None, names: str) -> RequestOptions:
    """Return options that have the preset's where they do not choose.

    Raises:
        ValueError: a further label has the name of one of the preset's.
    """
    preset, options = preset_of(names), options or RequestOptions()
    taken = {label for group in preset.declarations.values() for one in group for label in one.labelnames}
    for label in options.labels or ():
        if label in taken:
            raise ValueError(f"labels has the name {label!r}, which names={names!r} has already: choose another name")
    missing = {name: value for name, value in preset.options.items() if getattr(options, name) is None}
    if "labels" in preset.options:
        missing["labels"] = {**preset.options["labels"], **(options.labels or {})}
    return replace(options, names=names, **missing)


def declarations_under(group: type[Group], names: str, prefix: str) -> tuple[Declaration, ...]:
    """Return the declarations of a group: a preset's, or our own if it has none for the group.

    Args:
        group: the group.
        names: the preset.
        prefix: goes before its names.
    """
    return _renamed(names, prefix).get(group, group.declared)


@cache
def _renamed(names: str, prefix: str) -> Mapping[type[Group], tuple[Declaration, ...]]:
    return {
        group: tuple(one.renamed(one.named(prefix), has_prefix=False) for one in declarations)
        for group, declarations in preset_of(names).declarations.items()
    }
