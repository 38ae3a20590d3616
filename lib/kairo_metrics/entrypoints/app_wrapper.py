"""A stand-in for an app that can't get another class, such as a function."""

from __future__ import annotations

from typing import Any

__all__ = ["AppWrapper"]


class AppWrapper:
    """Stands for an app; every attribute but `app` is the app's own."""

    def __init__(self, app: Any) -> None:
        object.__setattr__(self, "app", app)

    def call_app(self, *args: Any) -> Any:
        """Call the app."""
        return self.app(*args)

    def __getattr__(self, name: str) -> Any:
        if name == "app":  # `copy` asks for it before it is set
            raise AttributeError(name)
        return getattr(self.app, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.app, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.app, name)
