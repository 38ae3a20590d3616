"""The catalogue: our own metrics of the watched system, as ordinary `prometheus_client` instruments.

They live in a registry of ours, `OWN`, so that they take no name in the program's registries. A group has the
instruments of one concern, and is built when it is first needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from ..model.fork_locks import SETUP_LOCK
from .shape import Shape, settle_shape, shape

if TYPE_CHECKING:
    from .declaration import Declaration, Group

__all__ = ["OWN", "build", "built", "catalogue", "may_be_ours", "settle"]

G = TypeVar("G", bound="Group")

OWN = CollectorRegistry()

_built: dict[type[Group], Any] = {}

# The words with which our names begin.
_FIRST_WORDS = frozenset({"api", "django", "function", "http", "kairo", "outbound", "tenant", "websocket"})


def catalogue(group: type[G]) -> G:
    """Return a group's instruments; the first call in a process builds them."""
    if group not in _built:
        with SETUP_LOCK:
            declarations = _declarations(group)
            _built.setdefault(group, group(declarations, tuple(build(one) for one in declarations), shape()))
    instruments_of_group: G = _built[group]
    return instruments_of_group


def build(declaration: Declaration) -> MetricWrapperBase:
    """Build an instrument in our registry."""
    chosen = shape()
    name = declaration.named(chosen.prefix or "")
    labelnames, buckets = declaration.shaped(chosen)
    options = {**declaration.options, "buckets": buckets} if buckets else declaration.options
    try:
        return declaration.kind(name, declaration.text, labelnames, registry=OWN, **options)
    except ValueError:
        built_meanwhile = OWN._names_to_collectors.get(name)  # noqa: SLF001  there is no public look-up
        if not isinstance(built_meanwhile, MetricWrapperBase):
            raise
        # By a signal handler in this thread, which holds the lock already.
        return built_meanwhile


def built(group: type[G]) -> G | None:
    """Return a group's instruments if they are built; nothing builds them while metrics are off."""
    return _built.get(group)


def may_be_ours(name: str, prefix: str) -> bool:
    """Tell, without much work, whether an instrument with this name may have a name of ours; few have."""
    if shape().names or not name.isidentifier():  # such a name is printed as another one
        return True
    return any(one.partition("_")[0] in _FIRST_WORDS for one in (name, name.removeprefix(prefix)))


def settle(chosen: Shape) -> None:
    """Let the process's families have this shape from now on, also those of groups that are built already.

    What it does not say stays open.
    """
    with SETUP_LOCK:
        settle_shape(chosen)
        # The settings may suppose another shape by now than when a group was built, too.
        for group, instruments in list(_built.items()):
            if vars(instruments.shape) != vars(shape()):
                from .reshaping import reshape_group  # few programs run a query before they instrument an app

                _built[group] = reshape_group(instruments, _declarations(group), OWN, build)


def _declarations(group: type[Group]) -> tuple[Declaration, ...]:
    names = shape().names
    if not names:
        return group.declared
    from .chosen_preset import declarations_under  # few programs come from another library

    return declarations_under(group, *names)
