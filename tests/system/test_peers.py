"""The comparison of `make bench` with other libraries: what it counts, and what it writes."""

from __future__ import annotations

import json
from contextlib import ExitStack
from xml.etree import ElementTree as ET

import pytest

from benchmarks.peers.comparison import Comparison, Figures
from benchmarks.peers.peer import OURS, PEERS
from benchmarks.peers.table import as_json, as_picture, printed

FIGURES = [
    Figures(OURS, 150.4, 2_400.0, 1.0, 1.0, 13.0, 1, 604, 604, 210, 210),
    Figures("several processes", 6.0, None, None, None, None, None, 604, 604, None, None),
    Figures("pytheus", 1_600.0, 52_900.0, 20.0, 20.0, 20.0, 55, 604, 604, 220, 210),
]


@pytest.mark.long
def test_a_request_is_one_command_and_every_total_is_right() -> None:
    """With this library a request is one command in one round trip, and neither processes nor faults change a total."""
    [ours] = [peer for peer in PEERS if peer.name == OURS]
    with ExitStack() as stack:
        comparison = Comparison(ours, stack)
        comparison.take_turn()
        figures = comparison.figures()
    assert (figures.round_trips, figures.sent, figures.cold_round_trips) == (1, 1, 1)
    assert figures.is_right
    assert figures.made == 604
    assert figures.made_with_losses == 210


def test_who_counts_wrong_is_shown() -> None:
    """The table, the JSON and the picture show a wrong total beside the right one."""
    rows = {line[:20].strip(): line for line in printed(FIGURES).splitlines()}
    assert "220, not 210" in rows["pytheus"]
    assert "not" not in rows[OURS]
    libraries = {row["name"]: row for row in json.loads(as_json(FIGURES, "2 cores"))["libraries"]}
    assert [libraries[name]["is_right"] for name in (OURS, "pytheus")] == [True, False]
    drawn = [element.text for element in ET.fromstring(as_picture(FIGURES)).iter() if element.text]
    assert [text for text in drawn if "not" in text] == ["after lost connections 220, not 210"]
    assert {"150 µs", "2.4 ms", "6 µs", "52.9 ms"} <= set(drawn)
