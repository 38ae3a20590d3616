"""The version of OpenTelemetry's SDK that there must be."""

from __future__ import annotations

__all__ = ["require_sdk"]

_NEEDED = (1, 30)


def require_sdk() -> None:
    """Check that the SDK is installed and new enough.

    Raises:
        ImportError: it is not; the message names what to install.
    """
    needed = ".".join(map(str, _NEEDED))
    try:
        # From its own code: a bundle may have left out the metadata of packages.
        from opentelemetry.sdk.version import __version__ as found
    except ImportError as err:
        raise ImportError(_message(needed, f"it can't be imported ({err})")) from err
    if tuple(map(int, found.split(".")[:2])) < _NEEDED:
        raise ImportError(_message(needed, f"version {found} is installed"))


def _message(needed: str, found: str) -> str:
    return (
        f"KairoMetricReader needs opentelemetry-sdk {needed} or newer, and {found}: "
        f'pip install "opentelemetry-sdk>={needed}", and add it to what the deployment installs'
    )
