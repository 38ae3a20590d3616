"""The registries of a program, as they are before a test: what the test registers is gone after it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.registry import Collector

from ..delivery import process_pipeline
from ..instruments import adoption

__all__ = ["Imported", "fresh_registries"]

Imported = set[Collector]


@contextmanager
def fresh_registries() -> Iterator[Imported]:
    """Let no registry be adopted for a block, and remove after it what was registered in it.

    What a module registers while it is imported stays: it is not imported again. The block gets these collectors.
    """
    imported: Imported = set()
    adopted, left_out = list(adoption._registries), list(adoption._left_out)
    known = list({*adopted, *process_pipeline._registries, REGISTRY})
    before = [(registry, registry._collector_to_names, dict(registry._names_to_collectors)) for registry in known]
    adoption._registries.clear()
    adoption._left_out.clear()
    own_registers: list[Any] = []  # a block around this one has put its own there
    for registry in known:
        registry._collector_to_names = dict(registry._collector_to_names)
        own_registers.append(vars(registry).get("register"))
        vars(registry)["register"] = partial(_register, registry.register, imported)
    try:
        yield imported
    finally:
        for registry, register in zip(known, own_registers, strict=True):
            del vars(registry)["register"]
            if register is not None:
                vars(registry)["register"] = register
        for registry in set(adoption._registries).difference(known):  # the block's own, which may outlive it
            registry._collector_to_names = dict(registry._collector_to_names)
        adoption._registries.clear()
        adoption._registries.update(adopted)
        adoption._left_out.clear()
        adoption._left_out.update(left_out)
        for registry, collectors, names in before:
            _put_back(registry, collectors, names, imported)


def _put_back(
    registry: CollectorRegistry, collectors: dict[Any, list[str]], names: dict[str, Any], imported: Imported
) -> None:
    new = {one: own for one, own in registry._collector_to_names.items() if one in imported and one not in collectors}
    registry._collector_to_names = collectors
    registry._names_to_collectors = names
    for collector, own_names in new.items():
        collectors[collector] = own_names
        names.update(dict.fromkeys(own_names, collector))


def _register(register: Callable[[Collector], None], imported: Imported, collector: Collector) -> None:
    register(collector)
    if _is_importing(sys._getframe()):
        imported.add(collector)


def _is_importing(frame: FrameType | None) -> bool:
    """Tell whether a module is being imported; the one at the bottom of the stack is the program itself."""
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_back is not None:
            importer = frame.f_back.f_code
            if importer.co_filename.startswith("<frozen importlib") or importer.co_name == "exec_module":
                return True
        frame = frame.f_back
    return False
