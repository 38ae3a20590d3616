"""Each example, deployed as its README says: built, started, sent requests, and scraped."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from vercel.queue.devserver import EmbeddedQueueDevServer, embedded_queue_dev_server

from tests.deployment.platform.deployment import Deployment
from tests.deployment.platform.lambda_requests import ask, scrape, variables
from tests.deployment.platform.lambda_runtime import lambda_function
from tests.deployment.platform.project import DECOY, copy_library
from tests.deployment.platform.vercel_router import route
from tests.support.dev_server import REPOSITORY

pytestmark = pytest.mark.long

# What Vercel's builder adds to every function.
_BUILDER = {"pip", "vercel_runtime"}
LAMBDA_SQS = REPOSITORY / "examples" / "lambda_sqs"


def test_an_example_shows_what_it_has_counted(example: Deployment, redis_url: str) -> None:
    """A client's path leads to the app; its request, and a metric of the app's own, are on the page."""
    project = example.project
    assert route(example.build, project.request[1].partition("?")[0]).function == project.watched
    assert route(example.build, "/metrics").function == "api/metrics"
    with example.watched(redis_url) as instance:
        for _ in range(2):
            instance.ipc.wait_until_ended(example.ask(instance).invocation)
    page = example.scrape(redis_url)
    assert (page[project.requests_sample], page[project.own_sample]) == (2, 2)


def test_an_example_ships_what_runs_and_nothing_else(example: Deployment) -> None:
    """A function is small and has no secrets, and the site has no files."""
    assert example.build.static == {".gitkeep"}
    for function in example.build.functions.values():
        own = {entry: weight for entry, weight in function.megabytes().items() if entry not in _BUILDER}
        assert sum(own.values()) < example.project.megabytes, own
        for file in function.files:
            assert file.startswith("_vendor/") or DECOY not in (function.root / file).read_text()


@pytest.fixture
def queue() -> Iterator[EmbeddedQueueDevServer]:
    """Start Vercel's own queue server for developers."""
    with embedded_queue_dev_server() as server:
        yield server


def test_a_cron_fills_a_queue_whose_function_empties_it(
    cron_and_queue: Deployment, redis_url: str, queue: EmbeddedQueueDevServer
) -> None:
    """The cron's run and each message are counted; without the secret nothing runs."""
    build = cron_and_queue.build
    assert build.crons == ({"path": "/api/nightly", "schedule": "0 3 * * *"},)
    [trigger] = build.functions["api/packing"].settings["experimentalTriggers"]
    assert (trigger["type"], trigger["topic"]) == ("queue/v2beta", "orders")
    env = {
        "CRON_SECRET": "s",
        "VERCEL_DEPLOYMENT_ID": "dpl_x",
        "VERCEL_QUEUE_BASE_URL": queue.base_url,
        "VERCEL_QUEUE_TOKEN": "of the queue",
    }
    with cron_and_queue.watched(redis_url, **env) as nightly:
        for headers, status in (({}, 401), ({"Authorization": "Bearer s"}, 204)):
            answer = nightly.request("GET", "/api/nightly", headers)
            assert answer.response.status_code == status, nightly.ipc.log
            nightly.ipc.wait_until_ended(answer.invocation)
    with cron_and_queue.instance("api/packing", redis_url, **env) as packing:
        for delivery in queue.app.iter_push_deliveries("orders", trigger["consumer"]):
            answer = packing.request("POST", "/api/packing", delivery.headers, content=delivery.body)
            assert answer.response.status_code == 204, packing.ipc.log
            packing.ipc.wait_until_ended(answer.invocation)
    page = cron_and_queue.scrape(redis_url)
    assert page[cron_and_queue.project.own_sample] == 1
    assert page['function_invocations_total{function="pack",outcome="success"}'] == 2
    assert page["orders_packed_total"] == 2
    assert page['http_requests_total{method="GET",route="/api/nightly",status="401"}'] == 1


def test_a_lambda_function_reports_what_failed_and_is_scraped(redis_url: str, tmp_path: Path) -> None:
    """A batch of SQS with a bad message: one is sent again, the others are counted, and the page shows it."""
    bundle = tmp_path / "bundle"
    shutil.copytree(LAMBDA_SQS, bundle)
    copy_library(bundle)
    bodies = ('{"number": 1}', '{"number": 0}', '{"number": 2}', "no JSON")
    records = [{"messageId": str(number), "body": body} for number, body in enumerate(bodies)]
    with lambda_function("worker.handler", variables(redis_url, tmp_path), bundle=bundle) as worker:
        answer = worker.invoke({"Records": records})
    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}, {"itemIdentifier": "3"}]}
    with lambda_function("page.handler", variables(redis_url, tmp_path), bundle=bundle) as page:
        shown = ask(page, scrape()).text.splitlines()
    assert "orders_packed_total 2" in shown
    assert 'function_invocations_total{function="pack_orders",outcome="partial"} 1' in shown
