"""The command in the README that puts an app's prefix into the dashboard and the rules."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import yaml

from lib.kairo_metrics.instruments.declarations import DECLARATIONS
from tests.support.dev_server import REPOSITORY

GRAFANA = REPOSITORY / "grafana"


def test_the_command_puts_the_prefix_before_each_of_our_names(tmp_path: Path) -> None:
    """After it, dashboard and rules ask for the names that an app with the prefix has, and nothing else has changed."""
    section = (GRAFANA / "README.md").read_text().partition("## With a prefix")[2]
    command = section.partition("```bash\n")[2].partition("```")[0]
    shutil.copy(GRAFANA / "kairo-cms-dashboard.json", tmp_path)
    (tmp_path / "rules").mkdir()
    for file in (GRAFANA / "rules").glob("*.yml"):
        shutil.copy(file, tmp_path / "rules")
    subprocess.run(["bash", "-ec", command], cwd=tmp_path, check=True)
    with_prefix = [one.name for declared in DECLARATIONS.values() for one in declared if one.named("shop_") != one.name]
    files = [path.relative_to(tmp_path) for path in tmp_path.rglob("*.*") if path.is_file()]
    assert len(files) == 3
    for file in files:
        text = (tmp_path / file).read_text()
        assert text.replace("shop_", "") == (GRAFANA / file).read_text()
        assert not re.findall(rf"(?<!shop_)\b(?:{'|'.join(with_prefix)})", text)
        assert "shop_http_requests_total" in text
        assert yaml.safe_load(text) if file.suffix == ".yml" else json.loads(text)
