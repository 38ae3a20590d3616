"""Refusals: how an error becomes the JSON that a client reads."""

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
    # The client learns that the database failed it; only the log says how.
    _log.error("%s", error, exc_info=error)
    return await _content_error(request, error)


async def _unknown_path(request: Request, _error: HTTPException) -> JSONResponse:
    reason = f"There is nothing at {request.scope['path']!r:.120}; the entries are at /api/content."
    return JSONResponse({"error": reason}, status_code=404)


async def _wrong_method(request: Request, error: HTTPException) -> JSONResponse:
    # Starlette joins a set, whose order differs from process to process.
    allowed = ", ".join(sorted((error.headers or {})["Allow"].split(", ")))
    reason = f"Method {request.method!r:.40} is not allowed here; use one of {allowed}."
    return JSONResponse({"error": reason}, status_code=405, headers={"Allow": allowed})


async def _defect(_request: Request, _error: Exception) -> JSONResponse:
    """Answer for a defect of ours; Starlette then raises it anew, for the server's log."""
    return JSONResponse({"error": "The server failed; try again, and report it if it stays."}, status_code=500)


# "Any": Starlette types a handler as taking every Exception, and hands it only those it is filed under.
REFUSALS: Mapping[Any, Any] = {
    404: _unknown_path,
    405: _wrong_method,
    ContentError: _content_error,
    DatabaseUnavailable: _unavailable,
    Exception: _defect,
}
