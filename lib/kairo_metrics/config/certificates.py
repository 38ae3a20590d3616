"""The certificates that a Redis behind TLS is checked against, as far as they are not the system's."""

from __future__ import annotations

import ssl
from pathlib import Path

from ..errors import SettingsError

__all__ = ["check_certificates", "read_certificates"]

_VARIABLE = "METRICS_REDIS_TLS_CA"
_BEGIN = "-----BEGIN"
_LONGEST_PATH = 200


def read_certificates(value: str) -> str:
    r"""Return the PEM text that is meant: the value itself, or what is in the file that it names.

    Args:
        value: PEM text, in which a line break may be written as `\n`, or the path of a file.

    Raises:
        SettingsError: there is no such file.

    Example:
        >>> read_certificates(r"-----BEGIN CERTIFICATE-----\nMII...").splitlines()
        ['-----BEGIN CERTIFICATE-----', 'MII...']
    """
    if value.startswith(_BEGIN):
        # Some hosts keep a variable on one line.
        return value.replace("\\n", "\n")
    try:
        return Path(value).read_text(encoding="ascii")
    except (OSError, ValueError) as err:
        # What is no path may be a key that was pasted with the certificates.
        named = repr(value) if value.isprintable() and "-----" not in value and len(value) <= _LONGEST_PATH else "that"
        reason = err.strerror if isinstance(err, OSError) else "it is no text"
        raise SettingsError(
            _VARIABLE, f"must be certificates as PEM text, or a file of them, and {named} can't be read: {reason}"
        ) from None


def check_certificates(value: str, redis_url: str | None, *, verified: bool) -> None:
    """Refuse certificates that can't be loaded, or that nothing would be checked against.

    Args:
        value: what `read_certificates` takes.
        redis_url: the address of Redis.
        verified: whether its certificate is checked at all.

    Raises:
        SettingsError: there is no such file, it is no PEM text, Redis is reached without TLS, or nothing is checked.
    """
    pem = read_certificates(value)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError) as err:
        raise SettingsError(
            _VARIABLE, f"must hold one or more certificates as PEM text, from -----BEGIN CERTIFICATE----- on: {err}"
        ) from err
    if not verified:
        raise SettingsError(_VARIABLE, "is set, and METRICS_REDIS_TLS_VERIFY=false checks nothing: unset one of them")
    if redis_url is not None and not redis_url.startswith("rediss"):
        raise SettingsError(
            _VARIABLE, "is set, but the address of Redis does not begin with rediss://: nothing is encrypted"
        )
