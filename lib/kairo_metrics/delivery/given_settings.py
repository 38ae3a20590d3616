"""The settings and the store of the calls that open the pipeline: of the right types, and those of the calls before."""

from __future__ import annotations

from ..config.settings import Settings
from ..errors import SettingsError

__all__ = ["check_types", "differ"]


def check_types(settings: object, store: object) -> None:
    """Check that these are settings and a store, or None.

    Raises:
        TypeError: one of them is not.
    """
    if settings is not None and not isinstance(settings, Settings):
        raise TypeError(f"settings must be Settings, not {type(settings).__name__}")
    if store is not None and (isinstance(store, type) or not callable(getattr(store, "apply", None))):
        raise TypeError(f"store must be a Store, not {type(store).__name__}")


def differ(settings: Settings, first: Settings | None) -> bool:
    """Tell whether a call's settings are others than those of the first call, which had the environment's if None."""
    if settings == first:
        return False
    try:
        return first is not None or settings != Settings.from_env()
    except SettingsError:
        return False  # variables are judged only while metrics are on, and not by an error
