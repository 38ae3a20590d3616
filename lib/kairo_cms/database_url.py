"""The database URL: converts the text in `DATABASE_URL` for SQLAlchemy and the driver."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from .errors import DatabaseUnavailable

__all__ = ["DatabaseUrl"]

_POSTGRES_SCHEMES = frozenset({"postgres", "postgresql", "postgresql+pg8000"})
_FORM = "postgresql://user:password@host/database or sqlite:///file"


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """The address of the database, and the options of its driver.

    Args:
        url: SQLAlchemy's URL, without query parameters.
        connect_args: keyword arguments of the driver's `connect`.
    """

    url: URL
    connect_args: Mapping[str, Any]

    @classmethod
    def parse(cls, text: str, timeout_s: float) -> DatabaseUrl:
        """Parse `text`, the value of `DATABASE_URL`.

        Args:
            text: a `postgres://`, `postgresql://` or `sqlite:///` URL.
            timeout_s: seconds to wait for a connection, a reply or a lock.

        Raises:
            DatabaseUnavailable: the URL is malformed, or has an option that the driver does not support.

        Example:
            >>> DatabaseUrl.parse("postgres://me@db.example/cms?sslmode=require", 5.0).connect_args
            {'timeout': 5.0, 'ssl_context': True}
        """
        try:
            url = make_url(text)
        except (ArgumentError, ValueError):
            # "from None": the cause may hold a part of the password, and causes are logged.
            raise DatabaseUnavailable(f"DATABASE_URL is malformed; it must look like {_FORM}.") from None
        if url.drivername == "sqlite":
            return cls(_sqlite_url(url), {"timeout": timeout_s})
        if url.drivername in _POSTGRES_SCHEMES:
            return cls(_postgres_url(url), {"timeout": timeout_s, "ssl_context": _ssl_context(url)})
        raise DatabaseUnavailable(f"DATABASE_URL names an unsupported database; it must look like {_FORM}.")


def _sqlite_url(url: URL) -> URL:
    if not url.database or url.database == ":memory:":
        # Each connection of the pool would open its own empty database.
        raise DatabaseUnavailable("DATABASE_URL must name a file: sqlite:////tmp/cms.sqlite3.")
    _refuse_unknown(url, known=frozenset())
    return url


def _postgres_url(url: URL) -> URL:
    if not url.username:
        raise DatabaseUnavailable(f"DATABASE_URL names no user; it must look like {_FORM}.")
    # pg8000 uses channel binding whenever the server offers it, so that parameter is accepted and ignored.
    _refuse_unknown(url, known=frozenset({"sslmode", "channel_binding"}))
    return url.set(drivername="postgresql+pg8000", query={})


def _refuse_unknown(url: URL, known: frozenset[str]) -> None:
    for name in url.query.keys() - known:
        raise DatabaseUnavailable(f"DATABASE_URL has the query parameter {name!r:.40}, which is unknown; remove it.")


def _ssl_context(url: URL) -> ssl.SSLContext | bool | None:
    """Translate libpq's `sslmode` into pg8000's `ssl_context`."""
    match url.query.get("sslmode", "prefer"):
        case "disable":
            return False
        case "prefer":
            return None
        case "require":
            return True
        case "verify-ca":
            context = ssl.create_default_context()
            context.check_hostname = False
            return context
        case "verify-full":
            return ssl.create_default_context()
    raise DatabaseUnavailable(
        "DATABASE_URL has an unknown sslmode; use disable, prefer, require, verify-ca or verify-full."
    )
