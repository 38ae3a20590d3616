"""`make matrix`: its rows, and the table that it writes."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.support.dev_server import REPOSITORY
from tests.support.matrix import Outcome, main, with_outcomes
from tests.support.matrix_rows import ROWS, Row

PAGE = (REPOSITORY / "docs/matrix.md").read_text()
TEXT = "before\n<!-- written by make matrix -->\n{table}<!-- end -->\nafter\n"
HEAD = "| library | requirement | version | passed | skipped | result |\n| --- | --- | --- | --- | --- | --- |\n"


def table() -> dict[tuple[str, str], list[str]]:
    """Return the rows of the page by the library and the requirement."""
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| ")
    ]
    return {(cells[0], cells[1].strip("`").replace("newest", "")): cells for cells in lines[2:]}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_row_runs_tests_that_exist(row: Row) -> None:
    """A module that has moved would otherwise be missing in the matrix."""
    assert [test for test in row.tests if not (REPOSITORY / test).exists()] == []


def test_the_page_shows_that_each_row_is_green() -> None:
    """The table has every row of the matrix, and all have passed."""
    rows = table()
    assert rows.keys() == {(row.library, row.requirement) for row in ROWS}
    assert {cells[5] for cells in rows.values()} == {"green"}
    assert all(int(cells[3]) > 50 for cells in rows.values())


def test_the_wheel_asks_for_the_oldest_versions_that_are_tested() -> None:
    """The lower bounds of the package are the first rows."""
    project = tomllib.loads((REPOSITORY / "lib/pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["opentelemetry"]]
    for library, oldest in (dependency.split(">=") for dependency in asked):
        first = next(row for row in ROWS if row.library == library)
        assert re.fullmatch(rf"=={re.escape(oldest)}(\.0)*", first.requirement)


def test_rows_that_were_not_run_keep_what_they_had() -> None:
    """A part of the matrix can be run again: the rest of the table stays, and rows that are gone leave it."""
    first, second = ROWS[:2]
    text = TEXT.format(table="")
    one = with_outcomes(text, {first.name: Outcome(first, "1.0", 7, 2)})
    assert f"| {first.library} | `{first.requirement}` | 1.0 | 7 | 2 | green |" in one
    both = with_outcomes(one, {second.name: Outcome(second, "1.1", 5, 0, "3 failed")})
    assert f"| {first.library} | `{first.requirement}` | 1.0 | 7 | 2 | green |" in both
    assert f"| {second.library} | `{second.requirement}` | 1.1 | 5 | 0 | 3 failed |" in both
    assert both.startswith("before\n")
    assert both.endswith("-->\nafter\n")
    gone = TEXT.format(table=HEAD + "| redis | `<3` | 2.0 | 9 | 0 | green |\n")
    assert "`<3`" not in with_outcomes(gone, {})


def test_the_newest_version_has_no_requirement() -> None:
    """Its row says so, and keeps it when others are run."""
    newest = next(row for row in ROWS if not row.requirement)
    text = with_outcomes(TEXT.format(table=""), {newest.name: Outcome(newest, "9.9", 60)})
    assert f"| {newest.library} | newest | 9.9 | 60 | 0 | green |" in with_outcomes(text, {})


def test_an_unknown_row_is_an_error_that_lists_the_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """A typing error runs nothing."""
    with pytest.raises(SystemExit):
        main(["reddis"])
    assert "no such row: reddis; there are prometheus-client==0.20.0, " in capsys.readouterr().err
