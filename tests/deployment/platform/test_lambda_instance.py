"""One Lambda instance during its life: cold and warm invocations, and the cost of a failing Redis."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.deployment.platform.lambda_events import Call
from tests.deployment.platform.lambda_requests import ask, read, scrape, variables
from tests.deployment.platform.lambda_runtime import lambda_function
from tests.support.proxy import Proxy


def test_warm_invocations_share_one_connection(proxy: Proxy, tmp_path: Path) -> None:
    """Three requests to one instance open one connection to Redis, and cost one round trip each."""
    with lambda_function("api.content.handler", variables(proxy.url, tmp_path)) as function:
        for trips in (2, 3, 4):  # the first one also loads the script into Redis
            assert ask(function, read()).status == 404
            assert proxy.round_trips == trips
        assert proxy.connections == 1
    proxy.reset_counts()
    with lambda_function("api.metrics.handler", variables(proxy.url, tmp_path)) as function:
        for _ in range(3):
            assert ask(function, scrape()).status == 200
        assert proxy.connections == 1


# On the function's clock the import takes two minutes.
SLOW_IMPORT = """
import sys, time

class Slow:
    late_s = 0
    def find_spec(self, name, *_):
        if name == "redis":
            self.late_s += 120

slow, clock = Slow(), time.monotonic
sys.meta_path.insert(0, slow)
time.monotonic = lambda: clock() + slow.late_s
"""


def test_a_slow_processor_does_not_cost_the_first_flush(proxy: Proxy, tmp_path: Path) -> None:
    """Even if loading the Redis library takes longer than the budget, the first invocation delivers its increments."""
    (tmp_path / "sitecustomize.py").write_text(SLOW_IMPORT)
    environment = variables(proxy.url, tmp_path, METRICS_FLUSH_BUDGET_MS="60000", PYTHONPATH=str(tmp_path))
    with lambda_function("api.content.handler", environment) as function:
        assert ask(function, read()).status == 404
        assert proxy.round_trips == 2
        assert "metrics could not be flushed" not in function.output


def test_a_silent_redis_costs_the_budget_and_no_increment(proxy: Proxy, tmp_path: Path) -> None:
    """Requests are answered while Redis does not reply, and their increments arrive later."""
    environment = variables(proxy.url, tmp_path, METRICS_FLUSH_BUDGET_MS="2000")
    with lambda_function("api.content.handler", environment) as function:
        assert ask(function, read()).status == 404
        answered = proxy.round_trips
        proxy.black_hole = True
        for _ in range(3):
            assert ask(function, read()).status == 404
            assert proxy.round_trips == answered
        assert function.output.count("metrics could not be flushed") == 1
        proxy.black_hole = False
        proxy.cut()
        sent = 4
        with lambda_function("api.metrics.handler", variables(proxy.url, tmp_path)) as metrics:
            deadline = time.monotonic() + 30
            while f'status="404"}} {sent}\n' not in ask(metrics, scrape(query="?name[]=http_requests")).text:
                assert time.monotonic() < deadline
                time.sleep(0.1)  # the breaker sends nothing for a while
                assert ask(function, read()).status == 404
                sent += 1


def test_a_redis_that_was_silent_from_the_start_does_not_stop_an_instance(proxy: Proxy, tmp_path: Path) -> None:
    """Even the first request of an instance is answered; a scrape gets 503 with the reason."""
    proxy.black_hole = True
    budget = variables(proxy.url, tmp_path, METRICS_FLUSH_BUDGET_MS="100", METRICS_SCRAPE_TIMEOUT_MS="200")
    with lambda_function("api.content.handler", budget) as function:
        assert ask(function, read()).status == 404
    with lambda_function("api.metrics.handler", budget) as function:
        page = ask(function, scrape())
        assert (page.status, page.text) == (503, "the store did not answer within 0.2 s\n")
    assert proxy.round_trips == 0


def test_a_health_check_answers() -> None:
    """The health function says alive and, without Redis, not ready."""
    with lambda_function("api.health.handler", {"ENABLE_METRICS": "true"}) as function:
        assert json.loads(ask(function, Call("GET", "/api/health")).body) == {"status": "alive"}
        assert ask(function, Call("GET", "/api/health?ready=1")).status == 503


def test_a_page_with_a_bad_setting_names_it() -> None:
    """With a malformed variable the function starts, and its page says which one to correct."""
    with lambda_function("api.metrics.handler", {"ENABLE_METRICS": "true", "METRICS_SHARDS": "many"}) as function:
        answer = ask(function, scrape())
        assert answer.status == 503
        assert "METRICS_SHARDS must be a whole number" in answer.text
