"""What CONTRIBUTING and the page of the data model say about the code is true."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.support.dev_server import REPOSITORY

CONTRIBUTING = (REPOSITORY / "CONTRIBUTING.md").read_text()
DATA_MODEL = (REPOSITORY / "docs" / "data-model.md").read_text()


def lines_of(text: str) -> list[str]:
    """Return the lines without what differs from run to run: times, random ids, and the shard that was drawn."""
    text = re.sub(r"\b\d{13}\b", "<ms>", text)
    text = re.sub(r"(?<=instance_id=\")\w{16}|(?<=writer:)\w{16}|\b\w{16}(?=-<ms>)", "<id>", text)
    return re.sub(r"/\d}", "/0}", text).splitlines()


def test_the_data_model_is_what_a_flush_writes() -> None:
    """Each key and line that the page shows is in a real Redis after one of each kind was counted."""
    command = [sys.executable, "-m", "tests.support.stored_state"]
    printed = lines_of(subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout)
    shown = [line for block in re.findall(r"```text\n(.*?)```", DATA_MODEL, re.DOTALL) for line in lines_of(block)]
    assert len(shown) > 20
    assert [line for line in shown if line not in printed] == []
    assert {line for line in printed if ":series:" in line and ":kairo_" not in line} <= set(shown)


def test_every_named_file_exists() -> None:
    """Every path in CONTRIBUTING leads to a file or a folder of the repository or of the package."""
    paths = re.findall(r"`([\w.-]+/[\w./-]*)`", CONTRIBUTING)
    roots = (REPOSITORY, REPOSITORY / "lib" / "kairo_metrics", REPOSITORY / "tests" / "faults")
    assert len(paths) > 20
    assert {path for path in paths if not any((root / path).exists() for root in roots)} - {"build/coverage/"} == set()
