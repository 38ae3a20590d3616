"""The page about `doctor`, and the tables that point to it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from lib.kairo_metrics.cli import doctor
from lib.kairo_metrics.cli.doctor.finding import CHECKS
from lib.kairo_metrics.cli.doctor.redis_advice import REPLIES
from tests.support.dev_server import REPOSITORY
from tests.support.doctor_run import ADVICE

# The sections of the operator's guide about faults, and the number of faults in each.
GUIDE = {"metrics are not available": 2, "Prometheus can't scrape": 3, "metrics are missing": 2}


def table(file: str, heading: str) -> dict[str, str]:
    """Return the rows of the table under a heading: the first cell and the second."""
    section = (REPOSITORY / file).read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [re.split(r" (?<!\\)\| ", line.strip("| ")) for line in section.splitlines() if line.startswith("| ")]
    return {cells[0]: cells[1] for cells in rows[1:]}


TROUBLES = table("docs/doctor.md", "From what you see to the check")


@pytest.mark.parametrize("trouble", table("docs/faq.md", "When nothing shows"))
def test_every_trouble_of_the_faq_leads_to_a_check(trouble: str) -> None:
    """For each line of the table of symptoms, docs/doctor.md names the check."""
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


# Shorter words could be in a test by chance.
SHORTEST = 7
SOURCES = [ast.parse(file.read_text()) for file in Path(doctor.__path__[0]).glob("*.py")]
WORDS = {node.value for source in SOURCES for node in ast.walk(source) if isinstance(node, ast.Constant)}


def texts_of(test: str) -> set[str]:
    """Return the texts in a test function, and in the tables of its module that it names."""
    file, _, name = test.partition("::")
    module = ast.parse((REPOSITORY / "tests/system" / file).read_text())
    named = {getattr(node, "name", ""): node for node in module.body}
    assert name in named, f"there is no test {test}"
    used = {node.id for node in ast.walk(named[name]) if isinstance(node, ast.Name)}
    tables = [
        node
        for node in module.body
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id in used for to in node.targets)
    ]
    constants = (node for part in (named[name], *tables) for node in ast.walk(part) if isinstance(node, ast.Constant))
    return {node.value for node in constants if isinstance(node.value, str)}


@pytest.mark.parametrize(("checks", "advice", "test"), ADVICE, ids=[advice for _, advice, _ in ADVICE])
def test_every_row_of_advice_is_in_the_program_and_shown_by_its_test(checks: set[str], advice: str, test: str) -> None:
    """The advice stands in the program, and the test that the row names looks for words of it."""
    assert checks <= CHECKS.keys()
    pieces = [piece for piece in advice.split("…") if piece.strip()]
    assert all(any(piece.strip() in str(word) for word in WORDS) for piece in pieces)
    texts = texts_of(test)
    assert any(
        (len(text) >= min(SHORTEST, len(advice)) and text in advice)
        or any(len(piece) >= SHORTEST and piece in text for piece in pieces)
        for text in texts
    )


def test_all_advice_on_refusals_is_in_the_table() -> None:
    """Every row of the program's table of Redis' replies is on the page. The others are compared when `doctor` runs."""
    assert set(REPLIES.values()) <= {advice for _, advice, _ in ADVICE}
