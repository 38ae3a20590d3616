"""The begin of a request of a WSGI app that has chosen something."""

from __future__ import annotations

from typing import Any

from .exchange import MeasuredRequest
from .http_record import HTTPRecord

__all__ = ["begin_wsgi"]

# PEP 3333: these two headers have no HTTP_ before their names.
_BARE = ("CONTENT_TYPE", "CONTENT_LENGTH")


def begin_wsgi(record: HTTPRecord, method: str, path: str, whole_path: str, environ: dict[str, Any]) -> None:
    """Begin the record of a request.

    Args:
        record: that of the request.
        method: of the request.
        path: its path below the prefix under which the server has the app.
        whole_path: the path with that.
        environ: the WSGI environ. If bytes are counted, a body without a length passes by a counter.
    """
    headers = (  # most functions never ask
        (name.removeprefix("HTTP_").replace("_", "-"), value)
        for name, value in list(environ.items())  # the app may add to it before anybody asks
        if name.startswith("HTTP_") or (name in _BARE and value)
    )
    record.begin(MeasuredRequest(method, whole_path, headers, environ), path, whole_path)
    if record.sizes is not None and record.sizes.announced is None and "wsgi.input" in environ:
        from .counted_stream import CountedReader

        environ["wsgi.input"] = CountedReader(environ["wsgi.input"], record.sizes)
