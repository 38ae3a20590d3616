"""The bars of a histogram's picture."""

from __future__ import annotations

from lib.kairo_metrics.cli.histogram_picture import bars


def test_bars_keep_their_proportions() -> None:
    """The largest bar fills the width, zero is empty, and what is not zero is seen."""
    assert bars([1000, 500, 1, 0], 4, blocks=True) == ["████", "██", "▏", ""]
    assert bars([1000, 500, 1, 0], 4, blocks=False) == ["####", "##", "#", ""]
    assert bars([0, 0], 4, blocks=True) == ["", ""]
