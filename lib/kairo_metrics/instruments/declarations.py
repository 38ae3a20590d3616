"""Our own declarations, and which of their names are taken: a name that an app has not chosen stays free.

To add a group, write a module with its class and its declarations, and add it here. If its names begin with another
word than those of the other groups, the catalogue has to know that word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from .chosen_instruments import InProgressInstruments, SizeInstruments
from .declaration import Declaration, Group
from .delivery_instruments import DeliveryInstruments
from .function_instruments import FunctionInstruments
from .outbound_instruments import OutboundInstruments
from .query_instruments import DjangoInstruments, QueryInstruments
from .request_instruments import RequestInstruments
from .shape import Shape, shape
from .websocket_instruments import WebSocketInstruments

if TYPE_CHECKING:
    from ..config.options import RequestOptions

__all__ = ["DECLARATIONS", "choose", "declared"]

DECLARATIONS: dict[type[Group], tuple[Declaration, ...]] = {
    group: group.declared
    for group in (
        RequestInstruments,
        InProgressInstruments,
        SizeInstruments,
        WebSocketInstruments,
        FunctionInstruments,
        QueryInstruments,
        DjangoInstruments,
        OutboundInstruments,
        DeliveryInstruments,
    )
}

# The names of all other groups are ours, also of those that a process never builds.
_OPTIONAL: dict[type[Group], Callable[[RequestOptions], bool | None]] = {
    InProgressInstruments: lambda options: options.in_progress,
    SizeInstruments: lambda options: options.sizes,
}
_chosen: set[type[Group]] = set()


def choose(options: RequestOptions) -> None:
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

    return {group: declarations_under(group, *names) for group in DECLARATIONS}


def _groups(options: RequestOptions | None) -> list[type[Group]]:
    if options is None:
        return []
    return [group for group, is_chosen in _OPTIONAL.items() if is_chosen(options)]
