"""Refusals: turns an error into the JSON response for the client."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from .errors import ContentError, DatabaseUnavailable

__all__ = ["REFUSALS"]

_log = logging.getLogger(__name__)


async def _content_error(_request: Request, error: ContentError) -> JSONResponse:
    return JSONResponse({"error": str(error)}, status_code=error.status)


async def _unavailable(request: Request, error: DatabaseUnavailable) -> JSONResponse:
    # The client gets no details; they are in the log, in one line: an outage has one for each request.
    cause = getattr(error.__cause__, "orig", None) or error.__cause__
    _log.error("%s%s", error, f" {type(cause).__name__}: {str(cause).partition(chr(10))[0]}" if cause else "")
    return await _content_error(request, error)


async def _unknown_path(request: Request, _error: HTTPException) -> JSONResponse:
    reason = f"There is nothing at {request.scope['path']!r:.120}; the entries are at /api/content."
    return JSONResponse({"error": reason}, status_code=404)


async def _wrong_method(request: Request, error: HTTPException) -> JSONResponse:
    # Starlette joins a set, whose order differs between processes.
    allowed = ", ".join(sorted((error.headers or {})["Allow"].split(", ")))
    reason = f"Method {request.method!r:.40} is not allowed here; use one of {allowed}."
    return JSONResponse({"error": reason}, status_code=405, headers={"Allow": allowed})


async def _defect(_request: Request, _error: Exception) -> JSONResponse:
    """Answer after an unexpected error; Starlette then raises it again, so that the server logs it."""
    return JSONResponse({"error": "The server failed; try again, and report it if it stays."}, status_code=500)


# "Any": in Starlette's types a handler takes every Exception, but it is called only for its own key.
REFUSALS: Mapping[Any, Any] = {
    404: _unknown_path,
    405: _wrong_method,
    ContentError: _content_error,
    DatabaseUnavailable: _unavailable,
    Exception: _defect,
}
