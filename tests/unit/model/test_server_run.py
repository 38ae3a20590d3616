"""Since when a server is up, and whether it came up with the state."""

from __future__ import annotations

from typing import Any

import pytest

from lib.kairo_metrics.model.batch import State
from lib.kairo_metrics.model.server_run import ServerRun

BORN = State("blue-1764000000000", 7)


@pytest.mark.parametrize(
    ("server", "run"),
    [
        ({}, ServerRun()),
        ({"run_id": "a", "uptime_in_seconds": "soon"}, ServerRun("a")),
        ({"run_id": "a", "uptime_in_seconds": "3"}, ServerRun("a", 2_500, has_loaded=True)),
        ({"run_id": "a", "uptime_in_seconds": "4"}, ServerRun("a", 3_500)),
        ({"uptime_in_seconds": "2", "server_time_usec": "?"}, ServerRun("", 1_500, has_loaded=True)),
        ({"uptime_in_seconds": "2", "server_time_usec": "1764000003999999"}, ServerRun("", 2_500, has_loaded=True)),
    ],
)
def test_what_a_server_leaves_out_is_not_guessed(server: dict[str, Any], run: ServerRun) -> None:
    """One that does not tell since when it is up, as some hosts do not, is one that has been up for long."""
    read = ServerRun.read(server, BORN, None, 1_764_000_004_500)
    assert (read.id, read.has_loaded) == (run.id, run.has_loaded)
    assert not run.has_loaded or read.age_ms == run.age_ms


def test_a_state_without_a_date_was_not_loaded() -> None:
    """No page waits for a state that has no name yet, or a name without a date."""
    for state in (State(), State("blue", 7)):
        assert not ServerRun.read({"uptime_in_seconds": "1"}, state, None, 1_764_000_004_500).has_loaded
