"""The shape that a call asks for: with its prefix, its options, and what the names of another library bring along."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import KairoError
from ..model.encoding import is_classic_label
from .shape import NO_CHOICE, Shape, settled_shape, shape, suppose_shape

if TYPE_CHECKING:
    from ..config.options import RequestOptions

__all__ = ["asked_of", "options_with"]

# A histogram that one preset alone has.
_OF_A_PRESET = "http_highr"
# What all calls have in common. Which labels are known when a request begins may differ: unknown ones are empty then.
_OF_THE_PROCESS = ("prefix", "names", "labels", "buckets")


def asked_of(
    prefix: str | None, options: RequestOptions | None, others: RequestOptions | None
) -> tuple[Shape, RequestOptions | None]:
    """Return the shape of our families that a call and the settings ask for, and the options of both.

    Args:
        prefix: None if the call gives none.
        options: None if the call gives none.
        others: those of the settings.

    Raises:
        TypeError: the prefix is no text.
        ValueError: no metric's name can begin with it.
        KairoError: an earlier call has settled on another shape.
    """
    if others is not None:
        suppose_shape(_shape_of(others.prefix, options_with(others, None)).over(NO_CHOICE))
    return _shape_with(_shape_of(prefix, options, others)), options_with(options, others)


def _shape_of(prefix: str | None, options: RequestOptions | None, others: RequestOptions | None = None) -> Shape:
    """Return the shape that a call asks for, whatever is settled; for the arguments see `asked_of`."""
    if prefix is not None:
        _check_prefix(prefix)
    names = options.names if options is not None else None
    if options is not None and (names or options.labels is not None):
        options = options_with(options, others)  # a preset may have labels of its own
    if names is None and prefix is not None:
        names = next(iter(shape().names or ()), None)
    if options is None:
        return Shape(prefix, names=_names(names, prefix))
    labels = early = None
    if options.labels is not None:
        from ..config.options import argument_count

        labels = tuple(sorted(options.labels))
        early = tuple(
            name
            for name in labels
            if isinstance(value := options.labels[name], str) or argument_count(name, value) == 1
        )
    buckets = None if options.buckets is None else tuple(sorted(options.over(others).buckets.items()))
    return Shape(prefix, labels, early, buckets, _names(names, options.prefix if prefix is None else prefix))


def _names(preset: str | None, prefix: str | None) -> tuple[str, ...] | None:
    if preset is None:
        return None
    now = shape()
    if prefix is None and now.names and preset == now.names[0]:
        return now.names
    prefix = prefix if prefix is not None else now.prefix or None  # an earlier call's, or that of the settings
    from .chosen_preset import preset_of  # few programs come from another library

    return preset, preset_of(preset).prefix if prefix is None else prefix


def _shape_with(asked: Shape) -> Shape:
    """Return the shape of this process if a call asks for this one.

    Raises:
        KairoError: an earlier call has settled on another one.
    """
    for name in _OF_THE_PROCESS:
        value, settled = getattr(asked, name), getattr(settled_shape(), name)
        if settled is not None and value not in (None, settled):
            raise KairoError(
                f"metrics have {name}={_shown(name, settled)} in this process since an earlier call of instrument or "
                f"install, so {name}={_shown(name, value)} comes too late; give each call the same {name}, or give it "
                "in the first call alone"
            )
    return asked.over(shape())


def options_with(given: RequestOptions | None, others: RequestOptions | None) -> RequestOptions | None:
    """Return the options of a call; where it does not choose, those of the settings, then those of its names.

    Args:
        given: those of the call; None if it has none.
        others: those of the settings.

    Raises:
        ValueError: a further label has the name of a label of these names, or the names lack a histogram that has
            buckets.
    """
    merged = others if given is None else given.over(others)
    names = (merged.names if merged is not None else None) or next(iter(shape().names or ()), None)
    if merged is not None and _OF_A_PRESET in (merged.buckets or ()) and names != "fastapi_instrumentator":
        raise ValueError(f"buckets has {_OF_A_PRESET!r}, which names='fastapi_instrumentator' alone has")
    if names is None:
        return merged
    from .chosen_preset import completed

    return completed(merged, names)


def _check_prefix(prefix: object) -> None:
    if not isinstance(prefix, str):
        raise TypeError(f"prefix must be a text, not {type(prefix).__name__}")
    # Prometheus keeps the colon, which is valid in a name, for recording rules.
    if prefix and not is_classic_label(prefix):
        raise ValueError(
            f"no metric's name can begin with prefix={prefix!r}: "
            "it may have letters of ASCII, digits and '_', and must not begin with a digit"
        )


def _shown(name: str, value: Any) -> str:
    """Return what a call would have given."""
    if name == "names":
        return repr(value[0] if value else None)
    return repr(dict(value) if name == "buckets" else value)
