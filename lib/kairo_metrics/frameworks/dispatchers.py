"""The dispatchers of Werkzeug and Hypercorn, which mount apps below fixed prefixes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .facts import MOUNT_KEY
from .request_path import path_below
from .watch import match as match_behind
from .watch import watch as watch_behind

__all__ = ["match", "watch"]


def watch(dispatcher: Any) -> None:
    """Let each mounted app be called with its prefix in the scope or environ."""
    for prefix, app in list(dispatcher.mounts.items()):
        if not isinstance(app, _Mounted):
            dispatcher.mounts[prefix] = _Mounted(prefix.rstrip("/"), app)
        watch_behind(app)
    watch_behind(getattr(dispatcher, "app", None))


def match(dispatcher: Any, scope: Mapping[str, Any]) -> str | None:
    """Return the template that the app with the longest matching prefix has."""
    path = path_below(scope)
    prefixes = [prefix.rstrip("/") for prefix in dispatcher.mounts if f"{path}/".startswith(f"{prefix.rstrip('/')}/")]
    if not prefixes:
        return match_behind(getattr(dispatcher, "app", None), scope)
    prefix = max(prefixes, key=len)
    app = next(app for mount, app in dispatcher.mounts.items() if mount.rstrip("/") == prefix)
    template = match_behind(app, _below(prefix, path, scope))
    return None if template is None else prefix + template


def _below(prefix: str, path: str, scope: Mapping[str, Any]) -> Mapping[str, Any]:
    if "REQUEST_METHOD" in scope:
        rest = path[len(prefix) :].encode().decode("latin-1")
        return {**scope, "SCRIPT_NAME": scope.get("SCRIPT_NAME", "") + prefix, "PATH_INFO": rest}
    return {**scope, "root_path": scope.get("root_path", "") + prefix}


class _Mounted:
    """A mounted app; it stands in the dispatcher in the app's place."""

    def __init__(self, prefix: str, app: Any) -> None:
        self.prefix = prefix
        self.app = app

    def __call__(self, scope: Any, *arguments: Any) -> Any:
        scope[MOUNT_KEY] = scope.get(MOUNT_KEY, "") + self.prefix
        return self.app(scope, *arguments)

    def __getattr__(self, name: str) -> Any:
        if name == "app":  # `copy` asks for it before it is set
            raise AttributeError(name)
        return getattr(self.app, name)
