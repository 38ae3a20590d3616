"""The address of a receiver, checked."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ..errors import SettingsError

__all__ = ["PRINTABLE", "check_receiver_url"]

# The characters that a request line and a header can carry without encoding.
PRINTABLE = re.compile(r"[!-~]+")


def check_receiver_url(variable: str, url: str, login: str) -> None:
    """Refuse a malformed address.

    Args:
        variable: the variable that holds it.
        url: the address.
        login: the variables that a login belongs into.

    Raises:
        SettingsError: it is malformed. The error does not repeat it, because it may hold a login.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError:
        raise SettingsError(variable, "is not a URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError(variable, "must be the full address of the receiver, https://... with the path")
    if parts.username is not None or "@" in parts.query or "@" in parts.fragment:
        raise SettingsError(variable, f"holds a login: put that into {login}")
    if not PRINTABLE.fullmatch(url):
        raise SettingsError(variable, "holds a space or a character outside ASCII: percent-encode them")
