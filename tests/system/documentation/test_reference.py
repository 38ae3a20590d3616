"""The reference pages: every family, every setting and every key, as the code has them."""

from __future__ import annotations

import re
from inspect import getdoc, signature

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from docs.site.families import END, START, Family, families, tables
from lib.kairo_metrics import PushSettings, Settings, instrument, measured
from lib.kairo_metrics.config.dev_settings import DevSettings
from lib.kairo_metrics.config.serve_settings import ServeSettings
from lib.kairo_metrics.config.settings import _RANGES
from lib.kairo_metrics.testing import isolated_metrics, page
from tests.support.dev_server import REPOSITORY

METRICS = (REPOSITORY / "docs" / "metrics.md").read_text()
SETTINGS = (REPOSITORY / "docs" / "settings.md").read_text()


def rows(text: str) -> list[list[str]]:
    """Return the cells of a page's tables."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|---")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_the_tables_of_metrics_are_those_of_the_code() -> None:
    """`make reference` has been run since a declaration changed."""
    assert METRICS.partition(START)[2].partition(END)[0].strip() == tables(families()).strip()


def test_every_family_on_a_page_is_in_the_tables() -> None:
    """The reference has each family of ours that an app shows, with its type, its labels and its meaning."""

    async def chat(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    known = {family.name: family for members in families().values() for family in members}
    with isolated_metrics():
        routes = [Route("/", lambda _: PlainTextResponse("hello")), WebSocketRoute("/chat", chat)]
        client = TestClient(instrument(Starlette(routes=routes), in_progress=True, sizes=True))
        client.get("/")
        with client.websocket_connect("/chat"):
            pass
        with measured("step"):
            pass
        shown = list(text_string_to_metric_families(page()))
    assert len(shown) > 15
    of_other_tests = set(REGISTRY._names_to_collectors)
    for family in shown:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        if name in of_other_tests:
            continue
        assert (family.type, family.documentation) == (known[name].type, known[name].text), name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert labels <= set(known[name].labels), name


def test_every_label_is_explained() -> None:
    """The table of labels has each label of a family of ours."""
    explained = {
        label for row in rows(METRICS.partition("\n## Labels\n")[2]) for label in re.findall(r"`(\w+)`", row[0])
    }
    labels = {label for members in families().values() for family in members for label in family.labels}
    assert labels - explained == set()


def test_a_table_has_a_row_for_each_family() -> None:
    """Name, type, labels and meaning are as the page of metrics prints them, with a histogram's bounds."""
    made = tables({("Jobs", "Always."): [Family("wait_seconds", "histogram", ("queue",), "Seconds.", (0.5, 1.0))]})
    assert made == (
        "### Jobs\n\nAlways.\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n"
        "| `wait_seconds` | histogram | `queue` | Seconds. Upper bounds: 0.5, 1. |\n"
    )


@pytest.mark.parametrize("settings", [Settings, PushSettings, DevSettings, ServeSettings])
def test_every_setting_is_in_the_table(settings: type) -> None:
    """The docstring names the variable of each, and a row of the page begins with it."""
    documented = dict(re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", getdoc(settings) or "", re.MULTILINE))
    listed = {variable for row in rows(SETTINGS) for variable in re.findall(r"`([A-Z][A-Z_]+)`", row[0])}
    for name in signature(settings).parameters:
        named = set(re.findall(r"`([A-Z][A-Z_]+)`", documented[name]))
        assert named <= listed, name


def test_the_numbers_are_those_of_the_code() -> None:
    """The allowed range and the default of a number are what the program checks, and uses without the variable."""
    shown = {row[0].strip("`"): [cell.replace(",", "") for cell in row[-2:]] for row in rows(SETTINGS)}
    for name, (variable, low, high) in _RANGES.items():
        assert shown[variable] == [f"{low} to {high}", str(getattr(Settings(), name))], variable
    assert shown["METRICS_REMOTE_WRITE_TIMEOUT_MS"][-1] == str(PushSettings().timeout_ms)
    assert shown["PORT"][-1] == f"{DevSettings().port} for `dev` {ServeSettings().port} for `serve`"


def test_no_setting_is_invented() -> None:
    """Each variable of the table is read somewhere in the code."""
    listed = {variable for row in rows(SETTINGS) for variable in re.findall(r"`([A-Z][A-Z_]+)`", row[0])}
    code = "\n".join(file.read_text() for file in (REPOSITORY / "lib").rglob("*.py"))
    assert {variable for variable in listed if variable not in code} == set()
