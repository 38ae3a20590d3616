"""The state of a process that has counted nothing: its pipeline, its recorder, and the instruments of our own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from prometheus_client import CollectorRegistry

from ..delivery import process_pipeline
from ..entrypoints import custom_labels, invocation_record
from ..instruments import catalogue, declarations, shape
from ..instruments.asked_shape import _shape_of, options_with
from ..instruments.catalogue import OWN
from ..instruments.child_limits import LIMITS
from ..instruments.recorder import RECORDER, Recorder
from ..instruments.shape import Shape

if TYPE_CHECKING:
    from ..config.options import RequestOptions

__all__ = ["Program", "choose_as", "forget_own_names", "fresh_process"]


# What is chosen of our families, and what was built so.
_CHOSEN: tuple[Any, ...] = (
    catalogue._built,
    declarations._chosen,
    shape._settled,
    shape._supposed,
    custom_labels._values,
    custom_labels._logged,
)


class Program(NamedTuple):
    """What calls outside of every block have given: a shape of our families, if they did, registries, and a page."""

    shape: list[Shape]
    registries: list[CollectorRegistry]
    has_page: bool


@contextmanager
def fresh_process(program: Program | None) -> Iterator[Program]:
    """Let the process start anew for a block, and go on after it where it was.

    Args:
        program: for a block inside others, what the outermost one gave; else it is what the process has now.
    """
    outer = process_pipeline._opened.get("pipeline")
    if outer is not None and (ticker := vars(outer).pop("thread_ticker", None)) is not None:
        ticker.stop()  # the recorder has the deltas of the block, and they are not for its store
    RECORDER.sample_followers()  # a reader of OpenTelemetry has what was counted before the block
    recorder = _exchanged(vars(RECORDER), {name: value for name, value in vars(Recorder()).items() if name != "lock"})
    opened, given = dict(process_pipeline._opened), dict(process_pipeline._given)
    registries = list(process_pipeline._registries)
    own, chosen = dict(vars(OWN)), [kept.copy() for kept in _CHOSEN]
    has_page = "first" in given and given["first"].has_page
    program = program or Program(list(shape._settled), registries, has_page)
    limits, started = dict(vars(LIMITS)), set(invocation_record._started)
    process_pipeline._opened.clear()
    process_pipeline._given.clear()
    process_pipeline._registries.intersection_update(program.registries)
    forget_own_names()
    shape._settled[:] = program.shape
    invocation_record._started.clear()
    try:
        yield program
    finally:
        _exchanged(vars(RECORDER), recorder)
        _refill(process_pipeline._opened, opened)
        _refill(process_pipeline._given, given)
        process_pipeline._registries.clear()
        process_pipeline._registries.update(registries)
        for kept, content in zip(_CHOSEN, chosen, strict=True):
            _refill(kept, content)
        vars(OWN).update(own)
        vars(LIMITS).update(limits)
        invocation_record._started.clear()
        invocation_record._started.update(started)


def choose_as(options: RequestOptions | None) -> None:
    """Let our families look as the options of a block's settings say, where the program's own calls do not."""
    for settled in shape._settled:
        if options is not None:
            asked = vars(_shape_of(options.prefix, options_with(options, None)))
            shape._settled[:] = [
                Shape(**{name: value or asked[name] or value for name, value in vars(settled).items()})
            ]


def forget_own_names() -> None:
    """Let the next call choose how our families look; apps that are measured already keep theirs."""
    for kept in _CHOSEN:
        kept.clear()
    OWN._collector_to_names, OWN._names_to_collectors = {}, {}


def _exchanged(state: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Put new values into the state, and return those that were there."""
    old = {name: state[name] for name in new}
    state.update(new)
    return old


def _refill(kept: Any, content: Any) -> None:
    kept.clear()
    if isinstance(kept, list):
        kept.extend(content)
    else:
        kept.update(content)
