"""A module of a user that a test imports late: it has an instrument, and an app that it gives to `instrument`."""

from __future__ import annotations

from prometheus_client import Counter
from starlette.applications import Starlette

from lib.kairo_metrics import instrument

LATE = Counter("late_orders_total", "Orders.", ["kind"])
app = instrument(Starlette())
