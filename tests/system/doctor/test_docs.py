"""The page about `doctor`, and the tables that point to it."""

from __future__ import annotations

import re

import pytest

from lib.kairo_metrics.cli.doctor.finding import CHECKS
from tests.support.dev_server import REPOSITORY

# The sections of the operator's guide about faults, and the number of faults in each.
GUIDE = {"metrics are not available": 2, "Prometheus can't scrape": 3, "metrics are missing": 2}


def table(file: str, heading: str) -> dict[str, str]:
    """Return the rows of the table under a heading: the first cell and the second."""
    section = (REPOSITORY / file).read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [re.split(r" (?<!\\)\| ", line.strip("| ")) for line in section.splitlines() if line.startswith("| ")]
    return {cells[0]: cells[1] for cells in rows[1:]}


TROUBLES = table("docs/doctor.md", "From what you see to the check")


@pytest.mark.parametrize("trouble", table("README.md", "When nothing shows"))
def test_every_trouble_of_the_readme_leads_to_a_check(trouble: str) -> None:
    """For each line of the README's table, docs/doctor.md names the check."""
    assert trouble in TROUBLES


@pytest.mark.parametrize(("section", "rows"), GUIDE.items())
def test_every_trouble_of_the_guide_leads_to_a_check(section: str, rows: int) -> None:
    """For each fault in the operator's guide, docs/doctor.md names the check."""
    assert sum(trouble.startswith(f"{section}: ") for trouble in TROUBLES) == rows


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_trouble_leads_to_checks_that_exist(trouble: str) -> None:
    """Every check in the table is one that `doctor` prints."""
    named = re.findall(r"`([^`]+)`", TROUBLES[trouble])
    assert named
    assert set(named) <= CHECKS.keys()


def test_every_check_is_described() -> None:
    """The page lists exactly the checks of the program."""
    assert table("docs/doctor.md", "The checks") == {f"`{check}`": what for check, what in CHECKS.items()}


def test_every_check_is_of_use_for_some_trouble() -> None:
    """Every check is named for at least one fault."""
    assert CHECKS.keys() == {name for cell in TROUBLES.values() for name in re.findall(r"`([^`]+)`", cell)}
