"""A store in memory, for tests of code that counts with this package.

A test needs no Redis: it lets the code count into a `MemoryStore`, and reads the metrics page.

    from prometheus_client.parser import text_string_to_metric_families
    from starlette.testclient import TestClient

    from kairo_metrics import Settings, metrics_app
    from kairo_metrics.testing import MemoryStore
    from shop import ORDERS

    # Once for all tests: a process has one pipeline, so its settings and its store stay the same. If your app calls
    # `instrument`, import it below: it takes these over, and an app that was instrumented before has others.
    SETTINGS = Settings(enabled=True, auth_tokens=("test",))
    PAGE = TestClient(metrics_app(settings=SETTINGS, store=MemoryStore(SETTINGS)))


    def value(name, **labels):
        text = PAGE.get("/", headers={"Authorization": "Bearer test"}).text
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        return next((sample.value for sample in samples if (sample.name, sample.labels) == (name, labels)), 0.0)


    def test_an_order_is_counted():
        before = value("orders_total", currency="EUR")
        ORDERS.labels("EUR").inc()
        assert value("orders_total", currency="EUR") == before + 1
"""

from __future__ import annotations

from .memory_store import MemoryStore

__all__ = ["MemoryStore"]
