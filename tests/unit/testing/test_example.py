"""The example in the docstring of `kairo_metrics.testing`."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from lib.kairo_metrics import testing

ROOT = Path(__file__).parents[3]
SHOP = """
from prometheus_client import Counter

ORDERS = Counter("orders_total", "Orders.", ["currency"])
"""


def test_a_user_s_test_reads_what_was_counted(tmp_path: Path) -> None:
    """The example, copied into a file, is a test that passes without a Redis."""
    example = textwrap.dedent((testing.__doc__ or "").partition("\n\n    ")[2].join(("    ", "")))
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "test_shop.py").write_text(example.replace("from kairo_metrics", "from lib.kairo_metrics"))
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shop.py"]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (ran.returncode, "1 passed" in ran.stdout) == (0, True), ran.stdout + ran.stderr
