"""Routes: the content API as a Starlette application.

| path                          | methods          |
|-------------------------------|------------------|
| `/api/content`                | GET, POST        |
| `/api/content/{slug}`         | GET, PUT, DELETE |
| `/api/content/{slug}/publish` | POST             |

Every error response is `{"error": "<what is wrong and what to do>"}`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from prometheus_client import Counter
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import validation
from .errors import BadRequest, BodyTooLarge, EntryNotFound
from .refusals import REFUSALS

if TYPE_CHECKING:
    # Both import SQLAlchemy, which the first request imports: see `_Content`.
    from .database import Database
    from .entries import Entries, Entry

__all__ = ["content_app"]

T = TypeVar("T")
Endpoint = Callable[[Request], Awaitable[Response]]

PUBLISHED = Counter("content_published_total", "Entries published, for the first time or again.", ["kind"])

_MAX_BODY_BYTES = 1_000_000


def content_app(database_url: str | None = None, *, timeout_s: float = 5.0) -> Starlette:
    """Build the content API, which connects to its database at the first request.

    Args:
        database_url: a `postgres://` or `sqlite:///` URL; by default `DATABASE_URL`, else a temporary SQLite file.
        timeout_s: seconds that a request waits for the database.

    Example:
        >>> app = content_app("sqlite:////tmp/cms.sqlite3")
    """
    content = _Content(database_url, timeout_s)
    app = Starlette(
        routes=[
            *_routes("/api/content", GET=content.list, POST=content.create),
            *_routes("/api/content/{slug}", GET=content.read, PUT=content.replace, DELETE=content.delete),
            *_routes("/api/content/{slug}/publish", POST=content.publish),
        ],
        exception_handlers=REFUSALS,
        lifespan=content.lifespan,
    )
    # `_routes` serves paths with and without a slash at the end. A redirect behind a proxy could have the wrong scheme.
    app.router.redirect_slashes = False
    return app


class _Content:
    """The endpoints, and the database, which the first request opens."""

    def __init__(self, database_url: str | None, timeout_s: float) -> None:
        self._database_url = database_url
        self._timeout_s = timeout_s
        self._database: Database | None = None
        self._opening = Lock()

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        yield
        if self._database is not None:
            self._database.close()

    async def list(self, request: Request) -> Response:
        tenant = _tenant(request)
        after = validation.page_start(request.query_params.get("after"))
        limit = validation.page_limit(request.query_params.get("limit"))
        page = await self._call(lambda entries: entries.page(tenant, after, limit))
        return JSONResponse({"entries": [_document(entry) for entry in page.entries], "next": page.next})

    async def create(self, request: Request) -> Response:
        tenant = _tenant(request)
        slug, content = validation.new_entry(await _body(request))
        entry = await self._call(lambda entries: entries.create(tenant, slug, content))
        return JSONResponse(_document(entry), status_code=201, headers={"Location": _address(request, slug)})

    async def read(self, request: Request) -> Response:
        tenant, slug = _tenant(request), _slug(request)
        return JSONResponse(_document(await self._call(lambda entries: entries.read(tenant, slug))))

    async def replace(self, request: Request) -> Response:
        tenant, slug = _tenant(request), _slug(request)
        content = validation.replacement(await _body(request), slug)
        return JSONResponse(_document(await self._call(lambda entries: entries.replace(tenant, slug, content))))

    async def publish(self, request: Request) -> Response:
        tenant, slug = _tenant(request), _slug(request)
        entry, first = await self._call(lambda entries: entries.publish(tenant, slug))
        PUBLISHED.labels("first" if first else "again").inc()
        return JSONResponse(_document(entry))

    async def delete(self, request: Request) -> Response:
        tenant, slug = _tenant(request), _slug(request)
        await self._call(lambda entries: entries.delete(tenant, slug))
        return Response(status_code=204)

    async def _call(self, use: Callable[[Entries], T]) -> T:
        """Run `use` in a thread, because the first import and every query block."""
        return await run_in_threadpool(lambda: use(self._entries()))

    def _entries(self) -> Entries:
        from .database import Database
        from .entries import Entries

        with self._opening:
            if self._database is None:
                self._database = Database(self._database_url, timeout_s=self._timeout_s)
        return Entries(self._database)


def _routes(path: str, **endpoints: Endpoint) -> list[Route]:
    """Build the routes for `path`, with and without a slash at its end, with one endpoint per method.

    One route serves all methods, because Starlette takes `Allow` from the first route with the path.
    """

    async def dispatch(request: Request) -> Response:
        return await endpoints["GET" if request.method == "HEAD" else request.method](request)

    return [Route(path + end, dispatch, methods=list(endpoints)) for end in ("", "/")]


def _tenant(request: Request) -> str:
    return validation.tenant(request.headers.getlist("x-tenant"))


def _address(request: Request, slug: str) -> str:
    return f"{request.scope.get('root_path', '')}/api/content/{slug}"


def _slug(request: Request) -> str:
    slug: str = request.path_params["slug"]
    if not validation.is_slug(slug):
        raise EntryNotFound(slug)
    return slug


async def _body(request: Request) -> bytes:
    """Read the body, and stop when it is too long: a request may have no Content-Length."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_BODY_BYTES:
                raise BodyTooLarge(f"The body is longer than {_MAX_BODY_BYTES} bytes; shorten the entry.")
    except ClientDisconnect as err:
        raise BadRequest("The body ended too early; send it again.") from err
    return bytes(body)


def _document(entry: Entry) -> dict[str, str | None]:
    return {
        "slug": entry.slug,
        "title": entry.title,
        "body": entry.body,
        "status": "draft" if entry.published_at is None else "published",
        "created_at": _timestamp(entry.created_at),
        "updated_at": _timestamp(entry.updated_at),
        "published_at": None if entry.published_at is None else _timestamp(entry.published_at),
    }


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
