"""`METRICS_REDIS_TLS_CA`: the certificates that the certificate of Redis is checked against."""

from __future__ import annotations

import ssl
from pathlib import Path

from ..errors import SettingsError

__all__ = ["check_certificates", "read_certificates"]

_VARIABLE = "METRICS_REDIS_TLS_CA"
_BEGIN = "-----BEGIN"
_LONGEST_PATH = 200


def read_certificates(value: str) -> str:
    r"""Return the PEM text: the value itself, or the content of the file that it names.

    Args:
        value: PEM text, in which a line break may be written as `\n`, or the path of a file.

    Raises:
        SettingsError: the file can't be read.

    Example:
        >>> read_certificates(r"-----BEGIN CERTIFICATE-----\nMII...").splitlines()
        ['-----BEGIN CERTIFICATE-----', 'MII...']
    """
    if value.startswith(_BEGIN):
        # Some hosts store a variable on one line.
        return value.replace("\\n", "\n")
    try:
        return Path(value).read_text(encoding="ascii")
    except (OSError, ValueError) as err:
        # A value that does not look like a path may hold a private key: it is not repeated.
        shown = repr(value) if value.isprintable() and "-----" not in value and len(value) <= _LONGEST_PATH else "that"
        reason = err.strerror if isinstance(err, OSError) else "it is not text"
        raise SettingsError(
            _VARIABLE,
            "must be certificates as PEM text, or the path of a file with them",
            f"; {shown} can't be read: {reason}",
        ) from None


def check_certificates(value: str, redis_url: str | None, *, verified: bool) -> None:
    """Refuse certificates that can't be loaded, or that are not used because Redis is not checked.

    Args:
        value: as for `read_certificates`.
        redis_url: the address of Redis.
        verified: whether the certificate of Redis is checked.

    Raises:
        SettingsError: the file can't be read, it is not PEM text, the address has no TLS, or nothing is checked.
    """
    pem = read_certificates(value)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError) as err:
        raise SettingsError(
            _VARIABLE, f"must hold certificates as PEM text that begins with -----BEGIN CERTIFICATE-----: {err}"
        ) from err
    if not verified:
        raise SettingsError(
            _VARIABLE, "is set, but METRICS_REDIS_TLS_VERIFY=false turns the check off: unset one of them"
        )
    if redis_url is not None and not redis_url.startswith("rediss"):
        raise SettingsError(
            _VARIABLE, "is set, but the address of Redis does not begin with rediss://, so TLS is not used"
        )
