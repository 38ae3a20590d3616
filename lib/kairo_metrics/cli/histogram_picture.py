"""The picture of a classic histogram: a bar for each bucket."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from .histogram_quantiles import bucket_of
from .terminal import Terminal

__all__ = ["bars", "picture"]

_EIGHTHS = " ▏▎▍▌▋▊▉"
_FULL = "█"
_LONGEST_BAR = 40
_SHORTEST_BAR = 8


def picture(
    terminal: Terminal, bounds: Sequence[str], counts: Sequence[int], shares: Mapping[str, float]
) -> Iterator[str]:
    """Draw a line for each bucket: its upper bound, its count, a bar, and the quantiles that lie in it.

    Args:
        terminal: where it is printed; its width limits the bars.
        bounds: the upper bounds as `le` text, the last one `+Inf`.
        counts: observations in each bucket, not cumulative.
        shares: the quantiles by name, such as 0.95 under `p95`.
    """
    last = bounds[-2] if len(bounds) > 1 else "-Inf"
    limits = [*(f"<= {bound}" for bound in bounds[:-1]), f"> {last}"]
    width = max(map(len, limits))
    digits = max(len(str(count)) for count in counts)
    buckets = {name: bucket_of(share, counts) for name, share in shares.items()} if sum(counts) else {}
    longest = _bar_width(terminal, width + digits + len(" ".join(shares)))
    for number, bar in enumerate(bars(counts, longest, blocks=terminal.can_print("█▏"))):
        names = " ".join(name for name, bucket in buckets.items() if bucket == number)
        drawn = terminal.style(bar, "cyan") + " " * (longest + 2 - len(bar))
        yield f"{limits[number]:>{width}}  {counts[number]:>{digits}}  {drawn}{names}".rstrip()


def _bar_width(terminal: Terminal, taken: int) -> int:
    """Return the length of the longest bar with which a line fits the terminal."""
    if terminal.width is None:
        return _LONGEST_BAR
    gaps = 3 * len("  ")
    return max(_SHORTEST_BAR, min(_LONGEST_BAR, terminal.width - taken - gaps))


def bars(counts: Sequence[int], width: int, *, blocks: bool) -> list[str]:
    """Draw a bar for each count. The largest count fills the width; a count above zero is never an empty bar.

    Args:
        counts: the numbers to draw.
        width: the length of the longest bar, in columns.
        blocks: whether the terminal has characters for an eighth of a column.

    Example:
        >>> bars([4, 2, 0], 4, blocks=False)
        ['####', '##', '']
    """
    largest = max(counts, default=0) or 1
    if not blocks:
        return ["#" * math.ceil(count / largest * width) for count in counts]
    drawn = []
    for count in counts:
        whole, rest = divmod(math.ceil(count / largest * width * 8), 8)
        drawn.append(_FULL * whole + (_EIGHTHS[rest] if rest else ""))
    return drawn
