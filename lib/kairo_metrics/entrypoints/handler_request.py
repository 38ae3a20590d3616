"""The begin of a request of a handler class that has chosen something."""

from __future__ import annotations

from functools import wraps
from typing import Any
from urllib.parse import unquote

from .chosen_record import ChosenRecord
from .exchange import MeasuredRequest
from .http_record import HTTPRecord

__all__ = ["begin_handler", "note_headers"]


def begin_handler(record: HTTPRecord, handler: Any, method: str, target: str) -> tuple[Any, Any] | None:
    """Begin the record of a request.

    Args:
        record: that of the request.
        handler: the object of the handler class. If bytes are counted, its streams pass by counters.
        method: of the request.
        target: the path and the query.

    Returns:
        the handler's own streams, to be put back at the end; None if they are in place.
    """
    path, headers = unquote(target.partition("?")[0]), getattr(handler, "headers", None)
    record.begin(MeasuredRequest(method, path, [] if headers is None else headers.items(), handler), path)
    if record.sizes is None:
        return None
    from .counted_stream import CountedReader, CountedWriter

    streams = handler.rfile, handler.wfile
    is_chunked = "chunked" in ("" if headers is None else headers.get("Transfer-Encoding", ""))
    if record.sizes.announced is None:
        handler.rfile = CountedReader(handler.rfile, record.sizes, is_chunked=is_chunked)
    handler.wfile = CountedWriter(handler, record.sizes)
    return streams


def note_headers(handler_class: Any, attribute: str) -> None:
    """Let the handlers of a class tell the record of their request each header of the response.

    Args:
        handler_class: the class.
        attribute: where a handler has the record.
    """
    send_header = handler_class.send_header

    @wraps(send_header)
    def noting_the_header(handler: Any, keyword: str, value: Any) -> None:
        record: ChosenRecord | None = getattr(handler, attribute, None)
        if record is not None:
            record.add_header(keyword, str(value))
        send_header(handler, keyword, value)

    handler_class.send_header = noting_the_header
