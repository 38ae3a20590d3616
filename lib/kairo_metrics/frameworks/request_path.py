"""The path of a request below its mounts, from an ASGI scope or a WSGI environ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["method_of", "path_below"]


def path_below(scope: Mapping[str, Any]) -> str:
    """Return the path without `root_path`; a WSGI environ has it without `SCRIPT_NAME` already.

    Example:
        >>> path_below({"path": "/svc/items/7", "root_path": "/svc"})
        '/items/7'
    """
    if "REQUEST_METHOD" in scope:
        path: str = scope.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
    else:
        path, root_path = scope["path"], scope.get("root_path", "")
        if root_path and f"{path}/".startswith(f"{root_path}/"):
            path = path[len(root_path) :]
    return path or "/"


def method_of(scope: Mapping[str, Any]) -> str:
    """Return the request's method; a websocket begins with a GET."""
    return str(scope.get("REQUEST_METHOD") or scope.get("method", "GET"))
