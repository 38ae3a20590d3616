"""For the tests of a program that counts with this package: blocks that count in memory, and what they have counted.

The guide is docs/testing-your-app.md. In short:

    import pytest
    from starlette.testclient import TestClient

    from kairo_metrics.testing import counted, isolated_metrics
    from shop import app


    @pytest.fixture(autouse=True)
    def metrics():
        with isolated_metrics() as metrics:
            yield metrics


    def test_an_order_is_counted():
        TestClient(app).post("/orders")
        assert counted("http_requests_total", route="/orders", status=201) == 1
"""

from __future__ import annotations

from .counts import counted, page
from .isolation import Isolation, isolated_metrics
from .memory_store import MemoryStore

__all__ = ["Isolation", "MemoryStore", "counted", "isolated_metrics", "page"]
