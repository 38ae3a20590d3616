"""The shape of our families in this process: their prefix, further labels and buckets.

A process has one catalogue of them, so all of its apps share one shape. The first call that may choose settles it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..errors import KairoError
from ..model.encoding import is_classic_label

if TYPE_CHECKING:
    from ..config.options import RequestOptions

__all__ = ["Shape", "options_with", "settle_shape", "shape", "shape_of", "shape_with", "suppose_shape"]

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


_NONE = Shape("", (), (), (), ())
_settled: list[Shape] = []
_supposed: list[Shape] = []


def shape() -> Shape:
    """Return the shape that is settled, else the one that the settings suppose."""
    return _settled[0] if _settled else (_supposed[0] if _supposed else _NONE)


def shape_of(prefix: str | None, options: RequestOptions | None) -> Shape:
    """Return the shape that a call's prefix and options ask for.

    Raises:
        TypeError: the prefix is no text.
        ValueError: no metric's name can begin with it.
    """
    if prefix is not None:
        _check_prefix(prefix)
    if options is None:
        return Shape(prefix)
    labels = early = None
    if options.labels is not None:
        from ..config.options import argument_count

        labels = tuple(sorted(options.labels))
        early = tuple(
            name
            for name in labels
            if isinstance(value := options.labels[name], str) or argument_count(name, value) == 1
        )
    buckets = None if options.buckets is None else tuple(sorted(options.buckets.items()))
    return Shape(prefix, labels, early, buckets, _names(options.names, prefix))


def _names(preset: str | None, prefix: str | None) -> tuple[str, ...] | None:
    if preset is None:
        return None
    settled = shape().names or ()
    if prefix is None and preset in settled:
        return settled
    from .chosen_preset import preset_of  # few programs come from another library

    return preset, preset_of(preset).prefix if prefix is None else prefix


def options_with(given: RequestOptions | None, others: RequestOptions | None) -> RequestOptions | None:
    """Return the options of a call; where it does not choose, those of the settings, then those of its names.

    Args:
        given: those of the call; None if it has none.
        others: those of the settings.

    Raises:
        ValueError: a further label has the name of a label of these names.
    """
    merged = others if given is None else given.over(others)
    names = (merged.names if merged is not None else None) or next(iter(shape().names or ()), None)
    if names is None:
        return merged
    from .chosen_preset import completed

    return completed(merged, names)


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


def _check_prefix(prefix: object) -> None:
    if not isinstance(prefix, str):
        raise TypeError(f"prefix must be a text, not {type(prefix).__name__}")
    # Prometheus keeps the colon, which is valid in a name, for recording rules.
    if prefix and not is_classic_label(prefix):
        raise ValueError(
            f"no metric's name can begin with prefix={prefix!r}: "
            "it may have letters of ASCII, digits and '_', and must not begin with a digit"
        )


def _shown(value: object) -> str:
    return repr(dict(value) if isinstance(value, tuple) and value and isinstance(value[0], tuple) else value)
