"""Recording what the instruments of a registry count, also of those that exist already."""

from __future__ import annotations

from collections.abc import Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR, REGISTRY, CollectorRegistry, values
from prometheus_client.metrics import Enum, Gauge, Info, MetricWrapperBase

from ..model.fork_locks import SETUP_LOCK, SHARING
from .catalogue import OWN, may_be_ours
from .shape import Shape, shape

if TYPE_CHECKING:
    from ..config.options import RequestOptions

__all__ = ["adopt", "adopt_instrument", "adopted_registries", "is_of_one_process", "require_free_names"]

_registries: WeakSet[CollectorRegistry] = WeakSet()
_left_out: WeakSet[MetricWrapperBase] = WeakSet()
# What prometheus_client registers itself. It describes one process, and instances live for seconds.
_OF_ONE_PROCESS = (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR)
# Whether this process makes the page. There the collectors run that are no instruments.
_page = {"is here": False}
# The methods of prometheus_client that call no value; see `wrapped_methods`.
_WRAPPED: list[tuple[type, str]] = [
    (CollectorRegistry, "set_target_info"),
    (Info, "info"),
    (Enum, "__init__"),
    (Enum, "state"),
    (Gauge, "set_function"),
    (MetricWrapperBase, "remove"),
    (MetricWrapperBase, "remove_by_labels"),
    (MetricWrapperBase, "clear"),
]


def adopt(*registries: CollectorRegistry, has_page: bool = False) -> None:
    """Record what the instruments of the registries count from now on, and what they have counted until now.

    Instruments that are registered later are included; those of other registries, and of none, are not. Nor is an
    instrument of the program with a name of ours, which is logged. A second call changes nothing, but if the prefix of
    our names was settled meanwhile, it includes those whose names that makes free.

    Args:
        registries: those of the program, and ours.
        has_page: whether this process makes the page. If not, it is logged which collectors are not sent.
    """
    with SETUP_LOCK:
        _page["is here"] = has_page
        if getattr(values.ValueClass, "_multiprocess", False):
            from .multiprocess_value import leave_multiprocess_mode  # only with PROMETHEUS_MULTIPROC_DIR

            leave_multiprocess_mode()
        for owner, name in _WRAPPED:
            _wrap(owner, name)
        for registry in registries:
            # Under SETUP_LOCK nobody else adopts it; the registry's own lock keeps others from registering meanwhile.
            if not isinstance(registry._collector_to_names, _Collectors):  # noqa: SLF001  there is no public way
                with registry._lock:  # noqa: SLF001
                    registry._collector_to_names = collectors = _Collectors(registry)  # noqa: SLF001
                    _registries.add(registry)
                collectors.note_target_info(registry.get_target_info())
        for instrument in list(_left_out):
            _left_out.discard(instrument)
            adopt_instrument(instrument)


def _wrap(owner: type, name: str) -> None:
    method = getattr(owner, name, None)
    if method is None:  # prometheus_client before 0.24 has no `remove_by_labels`
        return
    if hasattr(method, "__wrapped__"):
        return

    @wraps(method)
    def recorded(self: Any, *args: Any, **kwargs: Any) -> None:
        with SHARING:  # as in `adopt_instrument`; few programs call any of them
            from .wrapped_methods import RECORDED

        RECORDED[name](method, self, *args, **kwargs)

    setattr(owner, name, recorded)


def require_free_names(
    registries: Sequence[CollectorRegistry], chosen: Shape, options: RequestOptions | None, *, is_later: bool
) -> None:
    """Check that no instrument of these registries has a name that is ours in this shape, with these options.

    Args:
        registries: the program's.
        chosen: the shape.
        options: those of a call.
        is_later: whether an earlier call has found our names free; then only further names are checked.

    Raises:
        ValueError: one has; see `refuse_taken_names`.
    """
    if is_later and not (options and _take_further_names(options)):
        return
    collectors = [collector for registry in registries for collector in list(registry._collector_to_names)]  # noqa: SLF001
    prefix = chosen.prefix or ""
    if chosen.names or any(_may_have_our_name(collector, prefix) for collector in collectors):
        from .declarations import declared  # few programs have one
        from .taken_names import refuse_taken_names

        refuse_taken_names(registries, chosen, declared(options, chosen))


def _take_further_names(options: RequestOptions) -> bool:
    from .declarations import declared  # most apps choose nothing

    return len(declared(options)) > len(declared())


class _Collectors(dict[Any, list[str]]):
    """The collectors of a registry; it takes the place of prometheus_client's dictionary, and adopts each instrument.

    It is asked inside the registry's lock, so no instrument is missed, whichever thread registers it at the same time.
    Other collectors are not sent: they run where the page is made.

    Args:
        registry: the registry; the collectors that it has already are adopted.
    """

    __slots__ = ("_is_default",)

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry._collector_to_names)  # noqa: SLF001
        self._is_default = registry is REGISTRY
        for collector in self:
            self._adopt(collector)

    def __setitem__(self, collector: Any, names: list[str]) -> None:
        super().__setitem__(collector, names)
        self._adopt(collector)

    def _adopt(self, collector: Any) -> None:
        if isinstance(collector, MetricWrapperBase):
            adopt_instrument(collector)
        elif not (_page["is here"] or (self._is_default and is_of_one_process(collector))):
            from .unsent import tell_collector  # few programs have one

            tell_collector(collector)

    @staticmethod
    def note_target_info(labels: dict[str, str] | None) -> None:
        """Log that a target info is not sent, unless this process makes the page."""
        if labels and not _page["is here"]:
            from .unsent import tell_target_info  # few programs have one

            tell_target_info()

    def __copy__(self) -> dict[Any, list[str]]:
        """Return a plain dictionary: a registry copies this one for each page."""
        return dict(self)


def adopted_registries() -> list[CollectorRegistry]:
    """Return the registries whose instruments are recorded."""
    return list(_registries)


def is_of_one_process(collector: object) -> bool:
    """Tell whether a collector is one of the three that prometheus_client registers in its default registry."""
    return any(collector is default for default in _OF_ONE_PROCESS)


def adopt_instrument(collector: MetricWrapperBase) -> None:
    """Record what an instrument counts, also one of no registry, unless it has a name of ours; that is logged."""
    # Imported with the first instrument: in an app that has none of its own, the first response has left by then.
    with SHARING:  # see `fork_locks`: no child is forked while a thread imports
        from .children import adopt_children
        from .sharing import share
    if _is_left_out(collector):
        _left_out.add(collector)
    elif collector._is_parent():  # noqa: SLF001
        adopt_children(collector)
    else:
        share(collector)


def _is_left_out(instrument: MetricWrapperBase) -> bool:
    """Tell whether an instrument is not sent, because it is the program's and has a name of ours; log it once."""
    is_ours = instrument in OWN._collector_to_names  # noqa: SLF001
    if is_ours or not _may_have_our_name(instrument, shape().prefix or ""):
        return False
    from .taken_names import is_left_out, log_left_out  # few names need a closer look

    if not is_left_out(instrument):
        return False
    log_left_out(instrument)
    return True


def _may_have_our_name(collector: object, prefix: str) -> bool:
    if not isinstance(collector, MetricWrapperBase):
        return False
    from ..model.schema import INSTANCE_LABEL  # see `adopt_instrument`

    return INSTANCE_LABEL in collector._labelnames or may_be_ours(collector._name, prefix)  # noqa: SLF001
