"""The settings and the store of the calls that open the pipeline: of the right types, and those of the calls before."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..config.environment import Environment
from ..config.settings import Settings
from ..errors import SettingsError

if TYPE_CHECKING:
    from ..config.options import RequestOptions

__all__ = ["check_types", "clash_with_variables", "differ"]

_log = logging.getLogger("kairo_metrics")
# The options that give our metrics names and labels, which a program may have already.
_NAMING = ("names", "prefix", "labels", "sizes", "in_progress")


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


def clash_with_variables(
    err: ValueError, chosen: Settings, ask: Callable[[RequestOptions | None], object]
) -> SettingsError | None:
    """Return the error of the variables, if they are what a call clashes with: they must not take the app down.

    While metrics are off no variable is read. So a call may clash with a name of the program only because the variable
    that gives ours another one is not read; then there is no error.

    Args:
        err: what was found.
        chosen: the settings of the environment.
        ask: checks the call together with the options that it gets.

    Raises:
        ValueError: the call itself is wrong.
    """
    if not chosen.enabled:
        try:
            others = Environment().options()
        except SettingsError:
            return None
        if others is None:
            raise err
        ask(others)
        return None
    if chosen.options is None:
        raise err
    ask(None)
    variables = [f"METRICS_{name.upper()}" for name in _NAMING if getattr(chosen.options, name)]
    problem = SettingsError(" and ".join(variables), "must fit the names and labels of the program", f": {err}")
    _log.error("metrics are off, and the metrics page answers 503: %s", problem)
    return problem
