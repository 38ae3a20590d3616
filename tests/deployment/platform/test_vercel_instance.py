"""Instances of built functions, and their metrics."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from tests.deployment.platform.deployment import Deployment
from tests.support.proxy import Proxy
from tests.support.redis_process import paused_writes

pytestmark = pytest.mark.long

CLIENTS = 50


@pytest.mark.parametrize("path", ["/metrics", "/api/metrics"])
def test_the_page_answers_on_both_paths(deployment: Deployment, redis_url: str, path: str) -> None:
    """The metrics function serves /metrics and /api/metrics, as the platform passes them on."""
    assert deployment.scrape(redis_url, path)["kairo_scrape_duration_seconds"] > 0


def test_what_one_instance_counts_another_serves(deployment: Deployment, redis_url: str) -> None:
    """Two instances count, and an instance of the metrics function shows the sum, with a library's metrics."""
    project = deployment.project
    with deployment.watched(redis_url) as one, deployment.watched(redis_url) as other:
        for instance in (one, other, other):
            answer = deployment.ask(instance)
            instance.ipc.wait_until_ended(answer.invocation)
        samples = deployment.scrape(redis_url)
    assert samples[project.requests_sample] == 3
    assert samples[project.own_sample] == 3


def test_the_client_has_its_answer_before_the_flush(deployment: Deployment, proxy: Proxy) -> None:
    """With Redis 300 ms away the response is sent before Redis replies, and the invocation lasts until the reply."""
    proxy.reply_delay_ms = 300
    with deployment.watched(proxy.url) as instance:
        for _ in range(3):
            replies = proxy.replies
            answer = deployment.ask(instance)
            assert proxy.replies == replies
            assert not instance.ipc.has_ended(answer.invocation)
            instance.ipc.wait_until_ended(answer.invocation)
            assert proxy.replies > replies
    proxy.reply_delay_ms = 0
    assert deployment.scrape(proxy.url)[deployment.project.requests_sample] == 3


def test_sigterm_flushes_what_is_pending(
    deployment: Deployment, proxy: Proxy, redis_client: redis.Redis, redis_url: str
) -> None:
    """Increments from before the platform froze the instance, while Redis was down, are sent at its shutdown."""
    with deployment.watched(proxy.url) as instance:
        proxy.refuse()
        for _ in range(3):
            answer = deployment.ask(instance)
            instance.ipc.wait_until_ended(answer.invocation)
        instance.freeze()
        proxy.listen()
        assert redis_client.dbsize() == 0
        assert instance.terminate() in {0, -signal.SIGTERM}
    assert deployment.scrape(redis_url)[deployment.project.requests_sample] == 3


def test_concurrent_requests_share_round_trips(deployment: Deployment, proxy: Proxy, redis_client: redis.Redis) -> None:
    """Fifty requests at once to one instance need two round trips: one for the first request, one for the rest.

    When the last of them has ended, the instance may freeze.
    """
    with deployment.watched(proxy.url) as instance, ThreadPoolExecutor(CLIENTS) as clients:
        instance.ipc.wait_until_ended(deployment.ask(instance).invocation)
        proxy.reset_counts()
        with paused_writes(redis_client):
            answers = list(clients.map(lambda _: deployment.ask(instance), range(CLIENTS)))
            assert not all(instance.ipc.has_ended(answer.invocation) for answer in answers)
        for answer in answers:
            instance.ipc.wait_until_ended(answer.invocation)
        instance.freeze()
        assert (proxy.connections, proxy.round_trips) == (0, 2)
    assert deployment.scrape(proxy.url)[deployment.project.requests_sample] == CLIENTS + 1
