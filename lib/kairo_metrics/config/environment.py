"""The environment: this is the only module that reads it."""

from __future__ import annotations

import logging
import os
import string
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from ..errors import SettingsError

if TYPE_CHECKING:
    from .options import RequestOptions

__all__ = [
    "REDIS_URL_VARIABLES",
    "Environment",
    "environment",
    "quoted",
    "read_or_log",
    "require_namespace",
    "require_redis_url",
    "split_tokens",
]

T = TypeVar("T")
_log = logging.getLogger("kairo_metrics")
_logged: set[str] = set()
# A longer value is cut in an error: it is hardly what was meant, and it fills the terminal.
_SHOWN_CHARS = 60
_YES = frozenset({"1", "on", "true", "yes"})
_NO = frozenset({"", "0", "false", "no", "off"})
_LETTERS_AND_DIGITS = frozenset(string.ascii_letters + string.digits)
_NAMESPACE_CHARACTERS = _LETTERS_AND_DIGITS | frozenset("_.-")
_LONGEST_NAMESPACE = 64
REDIS_URL_VARIABLES = ("REDIS_URL", "KV_URL", "REDIS_TLS_URL")
# Those of an ordinary address of Redis; see `_is_ordinary`.
_HOST_CHARACTERS = _LETTERS_AND_DIGITS | frozenset(".-")
_LOGIN_CHARACTERS = _LETTERS_AND_DIGITS | frozenset("._~:%!$&'()*+;=-")
_LAST_PORT = 65_535
# The variables of `RequestOptions`.
_OPTIONS = frozenset(
    {
        "METRICS_PREFIX",
        "METRICS_BUCKETS",
        "METRICS_DATABASE_BUCKETS",
        "METRICS_FUNCTION_BUCKETS",
        "METRICS_WEBSOCKET_BUCKETS",
        "METRICS_SKIP_PATHS",
        "METRICS_SKIP_METHODS",
        "METRICS_LABELS",
        "METRICS_GROUP_STATUS",
        "METRICS_IN_PROGRESS",
        "METRICS_SIZES",
        "METRICS_STATUS_CODES",
        "METRICS_NAMES",
    }
)


class Environment:
    """Reads variables as typed values, by default from the process environment; an error names the variable."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ

    def text(self, variable: str) -> str:
        """Return the value without white space around it, or "": `vercel env add` keeps a pasted newline."""
        return self._environ.get(variable, "").strip()

    def quoted(self, variable: str) -> str:
        """Return the value for an error."""
        return quoted(self.text(variable))

    def flag(self, variable: str) -> bool:
        value = self.text(variable).lower()
        if value in _YES:
            return True
        if value in _NO:
            return False
        raise SettingsError(variable, "must be true or false", f", not {quoted(value)}")

    def whole(self, variable: str, default: int, low: int, high: int) -> int:
        value = self.text(variable)
        if not value:
            return default
        if not _is_whole(value, digits=12) or not low <= int(value) <= high:
            raise SettingsError(variable, f"must be a whole number from {low} to {high}", f", not {quoted(value)}")
        return int(value)

    def tokens(self, variable: str) -> tuple[str, ...]:
        value = self.text(variable)
        return split_tokens(value) if value else ()

    def redis_url(self, *, checked: bool = True) -> str | None:
        for variable in REDIS_URL_VARIABLES:
            if value := self.text(variable):
                if checked:
                    require_redis_url(variable, value)
                return value
        return None

    def options(self) -> RequestOptions | None:
        """Return what apps use where they do not choose; None if no variable of it is set."""
        if not any(map(self.text, _OPTIONS)):
            return None
        from .options import options_from_env  # imported late: most cold starts do not need it

        return options_from_env(self)

    def namespace(self) -> str:
        for variable in ("METRICS_NAMESPACE", "VERCEL_ENV"):
            if value := self.text(variable):
                require_namespace(variable, value)
                return value
        return "development"


def quoted(value: str) -> str:
    r"""Return a value for an error: in quotes, without control characters, and cut if it is long.

    Example:
        >>> quoted("many\\n"), len(quoted("9" * 1000))
        ("'many\\\\n'", 63)
    """
    return repr(value if len(value) <= _SHOWN_CHARS else f"{value[:_SHOWN_CHARS]}…")


def environment() -> Mapping[str, str]:
    """Return the process environment, for commands that read variables without building `Settings`."""
    return os.environ


def split_tokens(text: str) -> tuple[str, ...]:
    r"""Return the tokens of a setting: one, or two separated by a comma during a rotation.

    Example:
        >>> split_tokens("new, old\n")
        ('new', 'old')
    """
    return tuple(token.strip() for token in text.split(","))


def read_or_log(read: Callable[[], T], default: T, consequence: str) -> tuple[T, SettingsError | None]:
    """Return what `read` returns, or the default and the error, which is logged once in this process.

    Args:
        read: reads variables.
        default: returned if one of them is wrong.
        consequence: what that means for the user, for the log.
    """
    try:
        return read(), None
    except SettingsError as err:
        text = f"{consequence}: {err.public_text}"
        if text not in _logged:
            _logged.add(text)
            _log.error("%s", text)
        return default, err


def require_namespace(variable: str, namespace: str) -> None:
    if not (0 < len(namespace) <= _LONGEST_NAMESPACE and _NAMESPACE_CHARACTERS.issuperset(namespace)):
        raise SettingsError(
            variable, "may hold letters, digits, '_', '.' and '-' (64 at most)", f", not {quoted(namespace)}"
        )


def require_redis_url(variable: str, url: str) -> None:
    """Refuse a malformed address. The error does not repeat it, because it may hold a password."""
    if not _is_ordinary(url):
        from .redis_url import check_redis_url  # imported late: most cold starts do not need it

        check_redis_url(variable, url)


def _is_ordinary(url: str) -> bool:
    """Tell whether an address is that of one server, without options. No pattern: compiling one takes longer."""
    scheme, _, rest = url.partition("://")
    place, _, database = rest.partition("/")
    login, _, address = place.rpartition("@")
    host, colon, port = address.partition(":")
    return (
        scheme in {"redis", "rediss"}
        and _LOGIN_CHARACTERS.issuperset(login)
        and bool(host)
        and _HOST_CHARACTERS.issuperset(host)
        and (not colon or (_is_whole(port, digits=5) and int(port) <= _LAST_PORT))
        and (not database or _is_whole(database, digits=9))
    )


def _is_whole(text: str, digits: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= digits
