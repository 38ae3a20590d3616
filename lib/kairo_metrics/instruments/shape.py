"""The shape of our families in this process: their prefix, further labels and buckets.

A process has one catalogue of them, so all of its apps share one shape. The first call that may choose settles it.
"""

from __future__ import annotations

__all__ = ["NO_CHOICE", "Shape", "is_settled", "settle_shape", "shape", "suppose_shape"]

_Buckets = tuple[tuple[str, tuple[float, ...]], ...]


class Shape:
    """How our families look; None where a call has not said. It is no named tuple, as `Declaration` is none.

    Args:
        prefix: goes before our names.
        labels: the names of the further labels of requests.
        early_labels: those of them whose values are known when a request begins.
        buckets: the bounds of duration histograms, by what they measure.
        names: the preset of our request families, and the prefix of their names.
    """

    def __init__(
        self,
        prefix: str | None = None,
        labels: tuple[str, ...] | None = None,
        early_labels: tuple[str, ...] | None = None,
        buckets: _Buckets | None = None,
        names: tuple[str, ...] | None = None,
    ) -> None:
        self.prefix = prefix
        self.labels = labels
        self.early_labels = early_labels
        self.buckets = buckets
        self.names = names


NO_CHOICE = Shape("", (), (), (), ())
_settled: list[Shape] = []
_supposed: list[Shape] = []


def shape() -> Shape:
    """Return the shape that is settled, else the one that the settings suppose."""
    return next(iter((*_settled, *_supposed)), NO_CHOICE)


def is_settled() -> bool:
    """Return whether a call has settled the shape."""
    return bool(_settled)


def settle_shape(chosen: Shape) -> None:
    """Keep this shape from now on, unless one is settled."""
    if not _settled:
        _settled.append(chosen)


def suppose_shape(supposed: Shape) -> None:
    """Use the shape that the settings ask for, until a call of the program chooses."""
    _supposed[:] = [supposed]
