"""PromQL for the built-in history: the part that dashboards use, with the results of Prometheus 2.

Any other part of PromQL raises `NotSupported`.
"""

from .engine import instant, ranged
from .vectors import Scalar, Vector

__all__ = ["Scalar", "Vector", "instant", "ranged"]
