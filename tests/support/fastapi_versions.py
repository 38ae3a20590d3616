"""What only younger versions of FastAPI do; `make matrix` runs tests with older ones."""

from __future__ import annotations

import pytest
from fastapi import APIRouter, FastAPI

__all__ = ["keeps_routers", "needs_kept_routers"]

_app = FastAPI(openapi_url=None)
_app.include_router(APIRouter())
# Old versions copy the routes of an included router, leave out its mounts, and put no prefix before plain routes.
keeps_routers = bool(_app.routes)
needs_kept_routers = pytest.mark.skipif(not keeps_routers, reason="this FastAPI leaves out the mounts of a router")
