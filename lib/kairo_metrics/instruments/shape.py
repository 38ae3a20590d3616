"""The shape of our families in this process: their prefix, further labels and buckets.

A process has one catalogue of them, so all of its apps share one shape. The first call that may choose settles it.
"""

from __future__ import annotations

__all__ = ["NO_CHOICE", "Shape", "settle_shape", "settled_shape", "shape", "suppose_shape"]

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

    def over(self, other: Shape) -> Shape:
        """Return this shape, and where it does not say, the other one."""
        return Shape(**{name: getattr(other, name) if value is None else value for name, value in vars(self).items()})


NO_CHOICE = Shape("", (), (), (), ())
_settled: list[Shape] = []
_supposed: list[Shape] = []


def shape() -> Shape:
    """Return the shape that is settled; where that does not say, the one that the settings suppose."""
    supposed = _supposed[0] if _supposed else NO_CHOICE
    return _settled[0].over(supposed) if _settled else supposed


def settled_shape() -> Shape:
    """Return what calls have settled; None where none has said."""
    return _settled[0] if _settled else Shape()


def settle_shape(chosen: Shape) -> None:
    """Keep this shape from now on, but for what is settled."""
    _settled[:] = [settled_shape().over(chosen)]


def suppose_shape(supposed: Shape) -> None:
    """Use the shape that the settings ask for, until a call of the program chooses."""
    _supposed[:] = [supposed]
