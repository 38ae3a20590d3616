"""Replacing one method of an object or of a class, so that the object lives no longer than before."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from weakref import ref

from ..frameworks.hooks import hook

__all__ = ["replace_method"]


def replace_method(owner: Any, name: str, around: Callable[..., Any]) -> bool:
    """Let `around(method, owner, *arguments)` be called in place of a method; return whether this call has done it.

    The method of an object is looked up in its class at each call, so that what a test puts there is called. The
    object is held weakly: a circle would keep its sockets open until the garbage collector comes.

    Args:
        owner: the object, or a class for all its objects.
        name: the method.
        around: gets the method as a function of the object, the object, and the arguments.
    """
    if isinstance(owner, type):
        return hook(owner, name, lambda method: _in_class(method, around))
    try:
        weak_owner, own = ref(owner), vars(owner).get(name)
    except TypeError:  # a class with `__slots__`: it takes no attributes, and is left alone
        return False
    return hook(owner, name, lambda _bound: _in_object(type(owner), name, weak_owner, own, around))


def _in_class(method: Callable[..., Any], around: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def replaced(self: Any, *arguments: Any, **named: Any) -> Any:
        return around(method, self, *arguments, **named)

    return replaced


def _in_object(
    kind: type, name: str, weak_owner: ref[Any], own: Callable[..., Any] | None, around: Callable[..., Any]
) -> Callable[..., Any]:
    shown: Any = getattr(kind, name, own)  # not the bound method, which holds the object

    @wraps(shown)
    def replaced(*arguments: Any, **named: Any) -> Any:
        # What somebody else has set on the object takes no object.
        method = getattr(kind, name) if own is None else lambda _owner, *given, **also: own(*given, **also)
        return around(method, weak_owner(), *arguments, **named)

    return replaced
