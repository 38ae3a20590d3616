"""What a script without an app calls: `install` first, and `flush` at its end. Other code may flush as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry

from ..delivery.process_pipeline import checked_registries, current_pipeline, open_pipeline
from ..errors import StoreError

__all__ = ["aflush", "flush", "install"]


def install(
    *registries: CollectorRegistry,
    prefix: str | None = None,
    buckets: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
) -> None:
    """Record what the instruments of these registries count from now on, and what they have counted until now.

    Instruments of other registries, and those with `registry=None`, are not published. `instrument` and `metrics_app`
    do this as well. A script without an app calls it first, and `flush` at its end. An instrument with a name of ours,
    such as `http_requests_total`, is not recorded, which is logged.

    Args:
        registries: your own registries; the default registry is always included.
        prefix: as in `instrument`.
        buckets: as in `instrument`: `{"function": [60, 300]}` for those of functions, in seconds.

    Raises:
        TypeError: one of them is not a registry, or another argument has a wrong type.
        ValueError: the prefix or the buckets are malformed.
        KairoError: an earlier call in this process has given another `prefix` or other `buckets`.

    Example:
        >>> install(CollectorRegistry())
    """
    published = checked_registries("install", *registries)
    options = None
    if buckets is not None:
        from ..config.options import RequestOptions  # few scripts choose any

        options = RequestOptions(buckets=buckets)
    open_pipeline(registries=published, prefix=prefix, options=options)


def flush(*, strict: bool = False) -> bool:
    """Send what is pending now, block until it is sent, and return whether everything has arrived.

    True means that nothing is pending: all of it has arrived, or there was none, as while metrics are off.
    False means that it could not be sent within `METRICS_FLUSH_BUDGET_MS`. It stays pending; a later flush sends it.

    Args:
        strict: whether a failure is an error.

    Raises:
        StoreError: with `strict`, it could not be sent.

    Example:
        >>> flush()
        True
    """
    pipeline = current_pipeline()
    try:
        if pipeline is not None:
            pipeline.flusher.flush()
    except StoreError:
        if strict:
            raise
        return False
    return True


async def aflush(*, strict: bool = False) -> bool:
    """Send what is pending now, and return whether everything has arrived; see `flush`, which blocks.

    Args:
        strict: whether a failure is an error.

    Raises:
        StoreError: with `strict`, it could not be sent.
    """
    pipeline = current_pipeline()
    try:
        if pipeline is not None:
            await pipeline.flusher.aflush()
    except StoreError:
        if strict:
            raise
        return False
    return True
