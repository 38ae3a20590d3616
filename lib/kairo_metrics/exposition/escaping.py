"""The schemes that turn a name into one of classic letters.

Source: https://prometheus.io/docs/instrumenting/escaping_schemes/
"""

from __future__ import annotations

__all__ = ["ALLOW_UTF_8", "SCHEMES", "UNDERSCORES", "escaped"]

ALLOW_UTF_8 = "allow-utf-8"
UNDERSCORES = "underscores"
SCHEMES = (ALLOW_UTF_8, UNDERSCORES, "dots", "values")


def escaped(name: str, scheme: str, *, colons: bool) -> str:
    """Return a name as a scheme writes it; unchanged with `allow-utf-8`.

    prometheus_client has the same, but not in all versions that are supported.

    Args:
        name: the name of a metric or of a label.
        scheme: one of `SCHEMES`.
        colons: whether a colon is a classic letter: it is one in the name of a metric.

    Example:
        >>> [escaped("mail.to", scheme, colons=True) for scheme in SCHEMES]
        ['mail.to', 'mail_to', 'mail_dot_to', 'U__mail_2e_to']
    """
    is_classic = name.isascii() and (name.replace(":", "_") if colons else name).isidentifier()
    if scheme == ALLOW_UTF_8 or (is_classic and scheme != "dots"):
        return name
    from .escaped_letters import escaped_letters  # most names have classic letters alone

    return escaped_letters(name, scheme, colons=colons)
