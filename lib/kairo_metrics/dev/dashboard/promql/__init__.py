"""PromQL over the built-in history: what dashboards use, with the results of Prometheus 2.

Whatever is not known raises `NotKnownHere`; nothing is guessed.
"""

from .engine import instant, ranged
from .vectors import Scalar, Vector

__all__ = ["Scalar", "Vector", "instant", "ranged"]
