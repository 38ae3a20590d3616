"""A user's app with a lifespan, under AWS's own runtime client."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deployment.platform.lambda_events import CALLERS, HTTP_API, Call, Caller
from tests.deployment.platform.lambda_requests import ask, scrape, variables
from tests.deployment.platform.lambda_runtime import LambdaError, LambdaFunction, lambda_function
from tests.support.aws_events import OTHER_EVENTS, PERSONAL, lambda_at_edge

pytestmark = pytest.mark.long

APP = "tests.deployment.platform.lambda_app.handler"
STATE = Call("GET", "/state")


@pytest.fixture
def environment(redis_url: str, tmp_path: Path) -> dict[str, str]:
    """Return the functions' variables."""
    return variables(redis_url, tmp_path)


def seen(function: LambdaFunction, call: Call = STATE, caller: Caller = HTTP_API) -> Any:
    """Send a request, and return the JSON of its answer."""
    answer = ask(function, call, caller)
    assert answer.status == 200, answer.text
    return json.loads(answer.body)


def counted(environment: dict[str, str], name: str) -> list[str]:
    """Return the samples of a family on the page of another function."""
    with lambda_function("api.metrics.handler", environment) as metrics:
        page = ask(metrics, scrape(query=f"?name[]={name}")).text
    return [line for line in page.splitlines() if not line.startswith("#")]


def test_the_startup_is_run_once_in_an_instance(environment: dict[str, str]) -> None:
    """Every caller's requests get what one startup has opened, in its event loop, and a copy of its state."""
    with lambda_function(APP, environment) as function:
        for caller in CALLERS.values():
            assert seen(function, STATE, caller) == {"same_loop": True, "visits": 1}
        edge = function.invoke(lambda_at_edge("/state"))
        assert (edge["status"], json.loads(edge["body"])["same_loop"]) == (200, True)
        assert function.output.count("startup") == 1
    assert counted(environment, "starts") == ["starts_total 1"]


def test_a_failing_startup_is_told_and_tried_again(environment: dict[str, str], tmp_path: Path) -> None:
    """While the database is away each invocation fails with the reason, also in the log; then requests are served."""
    database = tmp_path / "database"
    with lambda_function(APP, {**environment, "DATABASE": str(database)}) as function:
        for _ in range(2):
            with pytest.raises(LambdaError) as error:
                seen(function)
            kind, reason = error.value.args
            assert kind == "LifespanError"
            assert reason.startswith("the app's startup failed\n")
            assert reason.endswith("ConnectionError: no database")
        assert "[ERROR] LifespanError: the app's startup failed" in function.output
        database.touch()
        assert seen(function)["same_loop"]
        assert seen(function)["same_loop"]
        assert function.output.splitlines().count("startup") == 3


@pytest.mark.parametrize(
    ("kind", "early"),
    [("on-demand", 0), ("provisioned-concurrency", 1), ("lambda-managed-instances", 1), ("snap-start", 0)],
)
def test_when_the_startup_is_run(environment: dict[str, str], kind: str, early: int) -> None:
    """Instances that are kept ready have started before the first request; a snapshot is taken before the startup."""
    with lambda_function(APP, {**environment, "AWS_LAMBDA_INITIALIZATION_TYPE": kind}) as function:
        function.wait_until_loaded()
        assert function.output.count("startup") == early
        assert seen(function) == {"same_loop": True, "visits": 1}
        assert function.output.count("startup") == 1


if sys.version_info >= (3, 12):  # before, AWS's client hears no signal while it waits for an event

    def test_the_shutdown_is_run_at_sigterm(environment: dict[str, str]) -> None:
        """When Lambda ends an instance with an extension, the shutdown runs, and what it counts is delivered."""
        with lambda_function(APP, environment) as function:
            assert seen(function)["same_loop"]
            assert function.terminate() == -signal.SIGTERM
        assert counted(environment, "stops") == ["stops_total 1"]


@pytest.mark.parametrize(
    ("base_path", "caller", "call", "root_path"),
    [
        ("/v1", "REST API", Call("GET", "/v1/items/7"), "/v1"),
        ("/v1", "HTTP API or Function URL", Call("GET", "/v1/items/7"), "/v1"),
        ("/v1", "HTTP API or Function URL", Call("GET", "/v1/items/7", stage="prod"), "/prod/v1"),
        ("/v1", "load balancer", Call("GET", "/v1/items/7"), "/v1"),
        ("", "HTTP API or Function URL", Call("GET", "/items/7", stage="prod"), "/prod"),
        ("", "REST API", Call("GET", "/items/7", stage="prod"), ""),
    ],
)
def test_a_base_path_is_in_links_and_in_no_label(
    environment: dict[str, str], base_path: str, caller: str, call: Call, root_path: str
) -> None:
    """The app's routes and the route label have neither base path nor stage; addresses have both."""
    with lambda_function(APP, {**environment, "BASE_PATH": base_path}) as function:
        told = seen(function, call, CALLERS[caller])
    assert told == {"path": f"{root_path}/items/7", "link": f"{root_path}/state"}
    assert counted(environment, "http_requests") == [
        'http_requests_total{method="GET",route="/items/{name}",status="200"} 1'
    ]


def test_other_events_are_refused_with_advice(environment: dict[str, str]) -> None:
    """A queue's or a schedule's event gets an error that names it and the decorator, without personal data."""
    with lambda_function(APP, environment) as function:
        for kind, events in OTHER_EVENTS.items():
            with pytest.raises(LambdaError) as error:
                function.invoke(events[0])
            assert error.value.args[0] == "EventError"
            assert f"this event is {kind}" in error.value.args[1]
            assert "import measured" in error.value.args[1]
        assert PERSONAL not in function.output
        assert "startup" not in function.output
        assert seen(function)["same_loop"]
