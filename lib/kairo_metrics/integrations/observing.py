"""One word for all libraries: finds the module of this room that knows what is to be observed."""

from __future__ import annotations

import importlib
from typing import Any, TypeVar

__all__ = ["observe"]

Target = TypeVar("Target")

# The module of each package. The library is loaded already: the target is of one of its classes.
_MODULES = {"django": "django", "httpx": "httpx", "httpx2": "httpx", "requests": "requests", "sqlalchemy": "sqlalchemy"}


def observe(target: Target, *, migrations: bool = False) -> Target:
    """Measure the queries of a database, or the requests of an HTTP client, from now on; a second call changes nothing.

    While metrics are off nothing is observed. Once they are on, `observe` changes nothing but what is counted.

    Args:
        target: an engine of SQLAlchemy, also an asynchronous one; `django.db.connections`; a `Client` or `AsyncClient`
            of httpx or httpx2; a `Session` of requests. A class, such as `sqlalchemy.Engine`, `httpx.Client` or
            `requests.Session`, stands for all its objects in this process, also those that exist already.
        migrations: with `django.db.connections`, whether migrations are counted as well.

    Returns:
        The target itself.

    Raises:
        TypeError: the target is none of these, or `migrations` is not for it.

    Example:
        >>> import httpx
        >>> client = observe(httpx.Client())
        >>> client.close()
    """
    kind = target if isinstance(target, type) else type(target)
    library = next((_MODULES[name] for name in map(_package_of, kind.__mro__) if name in _MODULES), None)
    if library is None:
        raise TypeError(
            "observe takes an engine of SQLAlchemy, django.db.connections, a client of httpx or a session of requests, "
            f"not {kind.__name__}"
        )
    options: dict[str, Any] = {}
    if migrations is not False:
        if library != "django" or migrations is not True:
            raise TypeError(f"migrations must be True or False, and False for {kind.__name__}: it is for Django alone")
        options["migrations"] = True
    importlib.import_module(f".{library}", __package__).observe(target, **options)
    return target


def _package_of(kind: type) -> str:
    return kind.__module__.partition(".")[0]
