"""Variables that give our metrics names which the program has: the app goes on, and the reason is told."""

from __future__ import annotations

import pytest

from tests.support.named_program import run_program
from tests.support.variants import variants

pytestmark = pytest.mark.slow

OF_A_VARIABLE = """
Histogram("http_request_size_bytes", "Theirs.")
Counter("starlette_requests_total", "Theirs.")
Counter("shop_http_requests_total", "Theirs.")
assert instrument(app, ARGUMENTS) is app
page = metrics_app()
answer = []
async def receive(): return {"type": "http.request", "body": b"", "more_body": False}
async def send(message): answer.append(message)
scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b"", "http_version": "1.1"}
asyncio.run(page(scope, receive, send))
print(answer[0]["status"], answer[1]["body"].decode())
assert flush() is True
"""


CLASHES = [
    ({"METRICS_SIZES": "true"}, "", "METRICS_SIZES"),
    ({"METRICS_NAMES": "starlette_exporter"}, "", "METRICS_NAMES"),
    ({"METRICS_PREFIX": "shop_"}, "", "METRICS_PREFIX"),
    ({"METRICS_NAMES": "flask_exporter", "METRICS_LABELS": "path=x"}, "", "METRICS_NAMES and METRICS_LABELS"),
    ({"METRICS_NAMES": "flask_exporter"}, "labels={'path': 'x'}", "METRICS_NAMES"),
    ({"METRICS_LABELS": "path=x"}, "names='flask_exporter'", "METRICS_LABELS"),
]


@pytest.mark.parametrize(("variables", "arguments", "named"), variants(CLASHES, CLASHES[:3]))
def test_variables_that_clash_with_the_program_turn_metrics_off(
    variables: dict[str, str], arguments: str, named: str
) -> None:
    """A variable takes no app down: metrics are off, the log says why, and the page names the variables alone."""
    said = run_program(OF_A_VARIABLE.replace("ARGUMENTS", arguments), variables={"ENABLE_METRICS": "true", **variables})
    assert f"LOG metrics are off, and the metrics page answers 503: {named} must fit" in said
    assert "already: choose another name" in said or "is taken" in said
    (page,) = [line for line in said.splitlines() if line.startswith("503")]
    assert f"{named} must fit the names and labels of the program; correct it" in page


ENDED = [
    {"METRICS_PREFIX": "shop_"},
    {"METRICS_PREFIX": "shop_", "ENABLE_METRICS": "true", "METRICS_SHARDS": "many"},
    {"METRICS_PREFIX": "1", "ENABLE_METRICS": "true"},
    {"METRICS_NAMES": "starlette_exporter", "ENABLE_METRICS": "false"},
]


@pytest.mark.parametrize("variables", variants(ENDED, ENDED[:1]))
def test_turning_metrics_off_does_not_bring_back_a_clash_that_a_variable_has_ended(variables: dict[str, str]) -> None:
    """The switch is for emergencies: an app whose prefix is a variable starts with metrics off as with metrics on."""
    run_program('Counter("http_requests_total", "Theirs.")\nassert instrument(app) is app', variables=variables)


def test_a_clash_in_the_code_is_an_error_whatever_the_variables_say() -> None:
    """It names what is wrong in the code."""
    call = "instrument(app, names='flask_exporter', labels={'path': 'x'})"
    for switch in ("true", "false"):
        program = f"try:\n    {call}\nexcept ValueError as err:\n    print(err)"
        said = run_program(program, variables={"ENABLE_METRICS": switch, "METRICS_PREFIX": "shop_"})
        assert said == "labels has the name 'path', which names='flask_exporter' has already: choose another name\n"
