"""The packages that a push needs, in its protocol."""

from __future__ import annotations

import logging
from functools import lru_cache
from importlib import import_module

from ..exposition.negotiate import protobuf_flaw

__all__ = ["push_flaw"]


def push_flaw(protocol: str) -> str:
    """Return what is wrong with the packages that a protocol needs; empty if nothing is.

    Example:
        >>> push_flaw("remote-write")
        ''
    """
    return protobuf_flaw() or (_otlp_flaw() if protocol == "otlp" else "")


@lru_cache(maxsize=1)
def _otlp_flaw() -> str:
    try:
        import_module("...exposition.otlp", __name__)
    except Exception as err:  # noqa: BLE001  what a wrong version raises differs from version to version
        reason = str(err).partition("\n")[0] or type(err).__name__
        flaw = f"the package opentelemetry-proto can't be used: {reason}; pip install opentelemetry-proto"
        logging.getLogger("kairo_metrics").warning("%s. Nothing is pushed", flaw)
        return flaw
    return ""
