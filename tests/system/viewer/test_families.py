"""How the page draws metrics that no panel shows: which they are, and with what query."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.system.viewer.test_viewer import VIEWER

SCRIPT = """
const { notShown, ofSeries, panelsOf } = await import(process.argv[1]);
const { metadata, model, names } = JSON.parse(process.argv[2]);
let id = 0;
const families = notShown(names ? ofSeries(names, metadata) : metadata, model);
console.log(JSON.stringify(families.map((family) => [family.name, panelsOf(family, () => id++)])));
"""


def drawn(tmp_path: Path, metadata: dict[str, str], asked: str = "", names: list[str] | None = None) -> dict[str, Any]:
    """Return the panels of each metric by its name, in their order; `metadata` has the type of each metric."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("install Node.js")
    # A folder of modules, as the browser reads them.
    module = tmp_path / "families.mjs"
    shutil.copy(VIEWER / "families.js", module)
    given = {
        "metadata": {name: [{"type": kind, "help": ""}] for name, kind in metadata.items()},
        "model": {"panels": [{"panels": [{"targets": [{"expr": asked}]}]}]},
        "names": names,
    }
    command = [node, "--input-type=module", "-e", SCRIPT, "--", module.as_uri(), json.dumps(given)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(ran.stdout))


def test_every_type_has_its_picture(tmp_path: Path) -> None:
    """A counter is a rate by its labels, a histogram quantiles and a heat map, a gauge its value, an info a table."""
    types = {"orders_total": "counter", "basket_euros": "histogram", "stock": "gauge", "build_info": "gauge"}
    found = drawn(tmp_path, {**types, "wait_seconds": "summary", "kairo_x": "gauge", "sent_bytes_total": "counter"})
    assert list(found) == sorted(found, key=lambda name: (name.startswith("kairo_"), name))
    kinds = {name: [panel["type"] for panel in panels] for name, panels in found.items()}
    assert kinds["basket_euros"] == ["timeseries", "heatmap"]
    assert kinds["build_info"] == ["table"]
    assert {tuple(each) for name, each in kinds.items() if types.get(name) in {"counter", None}} == {("timeseries",)}
    queries = {name: [target["expr"] for target in panels[0]["targets"]] for name, panels in found.items()}
    target = "sum without (job, instance, environment)"
    assert queries["orders_total"] == [f'{target} (rate(orders_total{{job=~"$job"}}[$__rate_interval]))']
    assert queries["stock"] == [f'{target} (stock{{job=~"$job"}})']
    assert [query.partition(",")[0] for query in queries["basket_euros"]] == [
        f"histogram_quantile({share}" for share in (0.5, 0.95, 0.99)
    ]
    units = {name: panels[0]["fieldConfig"]["defaults"]["unit"] for name, panels in found.items()}
    assert (units["wait_seconds"], units["sent_bytes_total"], units["orders_total"]) == ("s", "Bps", "cps")
    numbers = [panel["id"] for panels in found.values() for panel in panels]
    assert len(numbers) == len(set(numbers))


def test_what_a_panel_shows_is_not_drawn_again(tmp_path: Path) -> None:
    """A metric in the query of a panel, also of a closed row, is left out; one with a longer name is not."""
    metadata = {"a_total": "counter", "a_total_more": "gauge", "b_seconds": "histogram", "c": "gauge"}
    metadata |= {"a_created": "gauge", "d_created": "gauge"}
    asked = "rate(a_total[1m]) / rate(b_seconds_bucket[1m])"
    assert list(drawn(tmp_path, metadata, asked)) == ["a_total_more", "c", "d_created"]


def test_a_prometheus_with_other_targets_shows_only_ours(tmp_path: Path) -> None:
    """Of all that a Prometheus knows the job's metrics are drawn; pushed ones, without a type, by their names."""
    names = ["orders_total", "wait_seconds_bucket", "wait_seconds_count", "wait_seconds_sum", "level", "up"]
    names += ["scrape_duration_seconds", "ALERTS", "job:x:rate5m"]
    found = drawn(tmp_path, {"node_cpu_seconds": "counter", "orders": "counter"}, names=names)
    assert list(found) == ["level", "orders_total", "wait_seconds"]
    assert [panel["type"] for panel in found["wait_seconds"]] == ["timeseries", "heatmap"]
    assert "rate(orders_total{" in found["orders_total"][0]["targets"][0]["expr"]
