"""The catalogue: our own metrics of the watched system, as ordinary `prometheus_client` instruments.

They live in a registry of ours, `OWN`, so that they take no name in the program's registries. A group has the
instruments of one concern, and is built when it is first needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from ..model.delivery_metrics import SCHEMAS
from ..model.fork_lock import fork_lock
from .declaration import Declaration, Group
from .declarations import DECLARATIONS, InProgressInstruments, SizeInstruments
from .shape import Shape, settle_shape, shape

if TYPE_CHECKING:
    from ..config.options import RequestOptions

__all__ = ["OWN", "SETUP_LOCK", "build", "built", "catalogue", "choose", "declared", "may_be_ours", "settle"]

G = TypeVar("G", bound=Group)

OWN = CollectorRegistry()

# Held while the process's instruments, its catalogue and its pipeline are set up: each of them exists once. Reentrant:
# a signal handler may flush in a thread that holds it.
SETUP_LOCK = fork_lock()

_built: dict[type[Group], Any] = {}

# The names of all other groups are ours, also of those that a process never builds.
_OPTIONAL: dict[type[Group], Callable[[RequestOptions], bool | None]] = {
    InProgressInstruments: lambda options: options.in_progress,
    SizeInstruments: lambda options: options.sizes,
}
_chosen: set[type[Group]] = set()

# Our names without the endings that a page or a registry adds.
_STEMS = {
    *(one.name.removesuffix("_total") for declarations in DECLARATIONS.values() for one in declarations),
    *(schema.name for schema in SCHEMAS),
}


def catalogue(group: type[G]) -> G:
    """Return a group's instruments; the first call in a process builds them."""
    if group not in _built:
        with SETUP_LOCK:
            declarations = _declarations(shape().names)[group]
            _built.setdefault(group, group(declarations, tuple(build(one) for one in declarations)))
    instruments_of_group: G = _built[group]
    return instruments_of_group


def build(declaration: Declaration) -> MetricWrapperBase:
    """Build an instrument in our registry."""
    chosen = shape()
    name = declaration.named(chosen.prefix or "")
    labelnames, buckets = declaration.shaped(chosen)
    options = {**declaration.options, "buckets": buckets} if buckets else declaration.options
    try:
        return declaration.kind(name, declaration.help, labelnames, registry=OWN, **options)
    except ValueError:
        built_meanwhile = OWN._names_to_collectors.get(name)  # noqa: SLF001  there is no public look-up
        if not isinstance(built_meanwhile, MetricWrapperBase):
            raise
        # By a signal handler in this thread, which holds the lock already.
        return built_meanwhile


def built(group: type[G]) -> G | None:
    """Return a group's instruments if they are built; nothing builds them while metrics are off."""
    return _built.get(group)


def choose(options: RequestOptions | None) -> None:
    """Take the names of the groups that an app has chosen; those of the others stay free."""
    _chosen.update(_groups(options))


def declared(options: RequestOptions | None = None, chosen: Shape | None = None) -> list[Declaration]:
    """Return the declarations whose names are ours if an app has these options, and our families this shape."""
    ours = {*_chosen, *_groups(options)}
    return [
        one
        for group, declarations in _declarations((chosen or shape()).names).items()
        for one in declarations
        if group not in _OPTIONAL or group in ours
    ]


def _declarations(names: tuple[str, ...] | None) -> Mapping[type[Group], tuple[Declaration, ...]]:
    if not names:
        return DECLARATIONS
    from .chosen_preset import declarations_under  # few programs come from another library

    return declarations_under(*names)


def _groups(options: RequestOptions | None) -> list[type[Group]]:
    if options is None:
        return []
    return [group for group, is_chosen in _OPTIONAL.items() if is_chosen(options)]


def may_be_ours(name: str, prefix: str) -> bool:
    """Tell, without much work, whether an instrument with this name may have a name of ours; it hardly ever has."""
    if shape().names:
        return True
    stems = [stem for one in (name, name.removeprefix(prefix)) for stem in (one, one.rpartition("_")[0])]
    return any(stem in _STEMS for stem in stems) or not name.isidentifier()  # such a name is printed as another one


def settle(chosen: Shape) -> None:
    """Let the process's families have this shape from now on, also those of groups that are built already."""
    with SETUP_LOCK:
        before = shape()
        settle_shape(chosen)
        if _built and shape() != before:
            from .reshaping import reshape  # few programs run a query before they instrument an app

            for group, instruments in list(_built.items()):
                declarations = _declarations(chosen.names)[group]
                members = tuple(
                    reshape(declaration, instrument, before, OWN, build)
                    for declaration, instrument in zip(declarations, instruments.members, strict=True)
                )
                _built[group] = group(declarations, members)
