"""What CONTRIBUTING and README say about the code is true."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from inspect import getdoc

from lib.kairo_metrics import Settings
from tests.support.dev_server import REPOSITORY
from tests.support.receivers import RECEIVERS

SCRAPERS = REPOSITORY / "tests" / "deployment" / "scrapers"
CONTRIBUTING = (REPOSITORY / "CONTRIBUTING.md").read_text()


def lines_of(text: str) -> list[str]:
    """Return the lines without what differs from run to run: times, random ids, and the shard that was drawn."""
    text = re.sub(r"\b\d{13}\b", "<ms>", text)
    text = re.sub(r"(?<=instance_id=\")\w{16}|(?<=writer:)\w{16}|\b\w{16}(?=-<ms>)", "<id>", text)
    return re.sub(r"/\d}", "/0}", text).splitlines()


def test_the_data_model_is_what_a_flush_writes() -> None:
    """Each key and line that CONTRIBUTING shows is in a real Redis after one of each kind was counted."""
    command = [sys.executable, "-m", "tests.support.stored_state"]
    printed = lines_of(subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout)
    section = CONTRIBUTING.partition("\n## The data model\n")[2].partition("\n## ")[0]
    shown = [line for block in re.findall(r"```text\n(.*?)```", section, re.DOTALL) for line in lines_of(block)]
    assert len(shown) > 20
    assert [line for line in shown if line not in printed] == []
    assert {line for line in printed if ":series:" in line and ":kairo_" not in line} <= set(shown)


def test_every_setting_is_in_the_readme() -> None:
    """The docstring of Settings names the variable of each field, and the README's table has a row for it."""
    documented = dict(re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", getdoc(Settings) or "", re.MULTILINE))
    variables = {field.name: re.findall(r"`([A-Z][A-Z_]+)`", documented[field.name]) for field in fields(Settings)}
    assert [field for field, named in variables.items() if not named] == []
    section = (REPOSITORY / "README.md").read_text().partition("\n## Settings\n")[2].partition("\n## ")[0]
    listed = set(re.findall(r"`([A-Z][A-Z_]+)`", section))
    assert {variable for named in variables.values() for variable in named} - listed == set()


def test_every_named_file_exists() -> None:
    """Every path in CONTRIBUTING leads to a file or a folder of the repository or of the package."""
    paths = re.findall(r"`([\w.-]+/[\w./-]*)`", CONTRIBUTING)
    roots = (REPOSITORY, REPOSITORY / "lib" / "kairo_metrics", REPOSITORY / "tests" / "faults")
    assert len(paths) > 20
    assert {path for path in paths if not any((root / path).exists() for root in roots)} - {"build/coverage/"} == set()


def test_every_row_of_the_receivers_has_its_test() -> None:
    """Each test that docs/receivers.md names exists, it names each test of the receivers, and has each version."""
    page = (REPOSITORY / "docs" / "receivers.md").read_text()
    rows = [line for line in page.partition("\n## ")[0].splitlines() if line.startswith("| ")][1:]
    named = {name for row in rows for name in re.findall(r"`(test_\w+)`", row)}
    assert all(re.search(r"`test_\w+` \|$", row) for row in rows)
    files = [*(REPOSITORY / "tests" / "system").rglob("test_*.py"), *SCRAPERS.glob("test_*.py")]
    existing = {file: set(re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)) for file in files}
    assert named - set().union(*existing.values()) == set()
    assert existing[REPOSITORY / "tests" / "system" / "prometheus" / "test_receivers.py"] - named == set()
    shown = "\n".join(rows)
    for receiver in RECEIVERS:
        name, version = receiver.rsplit(" ", 1)
        assert name in shown
        assert version in shown
