"""What the page makes of the results that a Prometheus may send."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.system.viewer.test_viewer import VIEWER

SCRIPT = """
const { instant, ranged } = await import(process.argv[1]);
const [kind, data] = JSON.parse(process.argv[2]);
globalThis.fetch = async () => new Response(JSON.stringify({ status: "success", data }));
const asking = kind === "query" ? instant("x", 10) : ranged("x", { start: 0, end: 20, step: 10 });
console.log(JSON.stringify(await asking.then((result) => ({ result }), ({ message }) => ({ message }))));
"""


def read(tmp_path: Path, kind: str, result_type: str, result: list[Any]) -> Any:
    """Return how the page reads a result: as series, or as the message for the reader."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("install Node.js")
    module = tmp_path / "prometheus.mjs"
    shutil.copy(VIEWER / "prometheus.js", module)
    given = json.dumps([kind, {"resultType": result_type, "result": result}])
    command = [node, "--input-type=module", "-e", SCRIPT, "--", module.as_uri(), given]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_numbers_are_drawn(tmp_path: Path) -> None:
    """A vector, a scalar and a matrix are series; a moment without a sample has no number."""
    labels = {"a": "b"}
    one = read(tmp_path, "query", "vector", [{"metric": labels, "value": [10, "1.5"]}])
    assert one == {"result": [{"labels": labels, "value": 1.5}]}
    assert read(tmp_path, "query", "scalar", [10, "2"]) == {"result": [{"labels": {}, "value": 2}]}
    several = read(tmp_path, "query_range", "matrix", [{"metric": labels, "values": [[0, "1"], [20, "3"]]}])
    assert several == {"result": [{"labels": labels, "values": [1, None, 3]}]}


@pytest.mark.parametrize(
    ("kind", "result_type", "result", "reason"),
    [
        ("query", "string", [10, "text"], "text"),
        ("query", "matrix", [{"metric": {}, "values": [[10, "1"]]}], "such as rate"),
        ("query", "vector", [{"metric": {}, "histogram": [10, {"count": "1", "sum": "1"}]}], "native histograms"),
        ("query_range", "matrix", [{"metric": {}, "histograms": [[10, {"count": "1"}]]}], "native histograms"),
    ],
)
def test_what_is_no_number_is_said(tmp_path: Path, kind: str, result_type: str, result: list[Any], reason: str) -> None:
    """A result that can't be drawn is named, with what to ask for instead."""
    assert reason in read(tmp_path, kind, result_type, result)["message"]
