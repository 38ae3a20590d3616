"""The shape of our families in this process: their prefix, further labels and buckets.

A process has one catalogue of them, so all of its apps share one shape. The first call that may choose settles it.
"""

from __future__ import annotations

from typing import NamedTuple

from ..errors import KairoError

__all__ = ["NOTHING_ASKED", "Shape", "settle_shape", "shape", "shape_with", "suppose_shape"]

_Buckets = tuple[tuple[str, tuple[float, ...]], ...]


class Shape(NamedTuple):
    """How our families look; None where a call has not said.

    Args:
        prefix: goes before our names.
        labels: the names of the further labels of requests.
        early_labels: those of them whose values are known when a request begins.
        buckets: the bounds of duration histograms, by what they measure.
        names: the preset of our request families, and the prefix of their names.
    """

    prefix: str | None = None
    labels: tuple[str, ...] | None = None
    early_labels: tuple[str, ...] | None = None
    buckets: _Buckets | None = None
    names: tuple[str, ...] | None = None


NOTHING_ASKED = Shape()
_NONE = Shape("", (), (), (), ())
_settled: list[Shape] = []
_supposed: list[Shape] = []


def shape() -> Shape:
    """Return the shape that is settled, else the one that the settings suppose."""
    return _settled[0] if _settled else (_supposed[0] if _supposed else _NONE)


def shape_with(asked: Shape) -> Shape:
    """Return the shape of this process if a call asks for this one.

    Raises:
        KairoError: an earlier call has settled on another one.
    """
    now = shape()
    if _settled:
        for name, value, settled in zip(Shape._fields, asked, now, strict=True):
            if value is not None and value != settled:
                option = name.removeprefix("early_")
                raise KairoError(
                    f"metrics have {option}={_shown(settled)} in this process since an earlier call of instrument or "
                    f"install, so {option}={_shown(value)} comes too late; give each call the same {option}, or give "
                    "it in the first call alone"
                )
    return _filled(asked, now)


def settle_shape(chosen: Shape) -> None:
    """Keep this shape from now on, unless one is settled."""
    if not _settled:
        _settled.append(chosen)


def suppose_shape(asked: Shape) -> None:
    """Use what the settings ask for, until a call of the program chooses."""
    _supposed[:] = [_filled(asked, _NONE)]


def _filled(asked: Shape, known: Shape) -> Shape:
    return asked._replace(**{name: value for name, value in known._asdict().items() if getattr(asked, name) is None})


def _shown(value: object) -> str:
    return repr(dict(value) if isinstance(value, tuple) and value and isinstance(value[0], tuple) else value)
