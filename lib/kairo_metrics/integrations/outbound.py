"""Requests that a program sends, by whatever client: what is counted of each.

| metric                                    | labels                     |
|-------------------------------------------|----------------------------|
| `outbound_http_requests_total`            | `host`, `method`, `status` |
| `outbound_http_request_duration_seconds`  | `host`, `method`           |
| `outbound_http_errors_total`              | `host`, `method`, `type`   |

Each request on the way counts, also each redirect and each answer to a demand for a login. A request without an answer
has the status `__error__`. `type` is the class of the exception, also of one that is raised while the body is read.
The port is no part of `host`.
"""

from __future__ import annotations

from time import perf_counter

from ..instruments.children import count, known_child, observe
from ..instruments.outbound_instruments import OutboundInstruments
from .bounded import BoundedLabel
from .switch import recorded

__all__ = ["OutboundRequest", "sending"]

_UNKNOWN = "__unknown__"
_NO_ANSWER = "__error__"
_STATUSES = range(100, 600)
# RFC 1035, section 2.3.4: no name is longer.
_LONGEST_HOST = 253
# The users of a program may choose the host, as that of a webhook.
_host_label = BoundedLabel(100)
# There are about 40 methods, with those of WebDAV, but a proxy passes on whatever its client has sent.
_method_label = BoundedLabel(40)


def sending(host: str | None, method: str | None) -> OutboundRequest | None:
    """Begin to measure a request; None while metrics are off.

    Args:
        host: of its address, without the port; None if the address has none.
        method: as it is sent.
    """
    instruments = recorded(OutboundInstruments)
    return None if instruments is None else OutboundRequest(instruments, host or "", method or "")


class OutboundRequest:
    """One request that is being sent.

    Args:
        instruments: those of outbound requests.
        host: the host that it goes to.
        method: its method.
    """

    __slots__ = ("_host", "_instruments", "_method", "_started_s")

    def __init__(self, instruments: OutboundInstruments, host: str, method: str) -> None:
        host = host.lower().rstrip(".")
        self._instruments = instruments
        self._host = _host_label(host) if 0 < len(host) <= _LONGEST_HOST else _UNKNOWN
        self._method = _method_label(method) if method else _UNKNOWN
        self._started_s = perf_counter()

    def answer(self, status: int) -> None:
        """Count the request: the head of its answer is there."""
        self._end(str(int(status)) if status in _STATUSES else _UNKNOWN)

    def fail(self, error: BaseException) -> None:
        """Count the request: it has ended with an exception in the place of an answer."""
        self._end(_NO_ANSWER)
        self.lose_body(error)

    def lose_body(self, error: BaseException) -> None:
        """Count an exception that was raised after the head of the answer, while its body was read."""
        self._instruments.errors.labels(self._host, self._method, type(error).__name__).inc()

    def _end(self, status: str) -> None:
        seconds = perf_counter() - self._started_s
        labels = self._host, self._method
        count(self._instruments.requests, (*labels, status))
        # It begins at zero with the first request, so that an error rate has data before the first error.
        known_child(self._instruments.requests, (*labels, _NO_ANSWER))
        observe(self._instruments.request_duration, labels, seconds)
