"""The ASGI app at `/dashboard`: the page, the JSON of the dashboard, and the query API."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from ...config.settings import Settings
from .document import Document
from .history import History
from .limits import Budget, check_size
from .query_error import QueryError
from .scraper import INTERVAL_S, Scraper
from .upstream import TIMEOUT_S, Call, Upstream

__all__ = ["PREFIX", "Dashboard"]

PREFIX = "/dashboard"
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_PATHS = ("labels", "metadata", "query", "query_range", "series")
_VIEWER = Path(__file__).parent / "viewer"
# The counter that every app has, whose name shows the prefix of the others.
_ERRORS = "api_errors_total"
# The metrics of what a project may lack, without a prefix.
_PARTS = {
    "database": ("tenant_db_query_duration_seconds",),
    "push": ("kairo_pushes_total", "kairo_token_reads_total"),
}
_LABEL_VALUES = re.compile(r"label/\w+/values", re.ASCII)
_UNPROCESSABLE = 422
_TOO_LONG = 414
_CLIENT_LEFT = 499  # as in nginx
_UNAVAILABLE = 503
_LONGEST_REQUEST = 100_000
# Running queries share the processor, so a short one ends soon although long ones run.
_MOST_QUERIES = 8
_MOST_WAITING = 64
_NOT_INSTALLED = "The built-in engine can't import {}; it needs two packages: pip install promql-parser google-re2"
_Result = TypeVar("_Result")


class Dashboard:
    """Serves the page and its data, from a real Prometheus or from the built-in history.

    Args:
        other_app: serves all paths outside `/dashboard`.
        document: what the page shows.
        source: the Prometheus, or the scraper that fills `history`.
        history: the built-in history; empty if there is a Prometheus.
        source_name: the source, as the banner shows it.
        is_certain: whether there is a metrics page; if not, `/dashboard` is the other app's unless one was scraped.
    """

    def __init__(  # noqa: PLR0913  what it serves, and from where
        self,
        other_app: ASGIApp,
        document: Document,
        source: Upstream | Scraper,
        history: History,
        *,
        source_name: str = "",
        is_certain: bool = True,
    ) -> None:
        self._other_app = other_app
        self._shown = document
        self._is_certain = is_certain
        self._source = source
        self.source_name = source_name
        self._history = history
        # Threads of its own: slow queries must not take those in which the functions and the scraper work.
        self._threads = ThreadPoolExecutor(_MOST_QUERIES, thread_name_prefix="query")
        self._queries = 0
        self._app = self._routes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope.get("path", "")
        ours = path == PREFIX or path.startswith(f"{PREFIX}/")
        app = self._app if ours and await self._has_page() else self._other_app
        await app(scope, receive, send)

    async def _has_page(self) -> bool:
        if self._is_certain or isinstance(self._source, Upstream):
            return True
        self._source.note_viewer()
        await self._source.try_once()
        return bool(self._source.families)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Fill the history while the block runs."""
        if isinstance(self._source, Scraper):
            async with self._source.running():
                yield
        else:
            yield

    def _routes(self) -> Starlette:
        routes: list[Route | Mount] = [
            Route(f"{PREFIX}/source.json", self._source_status),
            Route(f"{PREFIX}/dashboard.json", self._document),
            Route(f"{PREFIX}/api/v1/label/{{name}}/values", self._query),
            Route(f"{PREFIX}/api/v1/{{path}}", self._query),
            Route(PREFIX, lambda _request: FileResponse(_VIEWER / "index.html")),
            Mount(PREFIX, StaticFiles(directory=_VIEWER, html=True)),
        ]
        app = Starlette(
            routes=routes,
            middleware=[Middleware(_WithHeaders)],
        )
        app.router.redirect_slashes = False
        return app

    async def _document(self, _request: Request) -> Response:
        return Response(self._shown.text(self._prefix(), self._without()), media_type="application/json")

    async def _source_status(self, _request: Request) -> Response:
        prefix = self._prefix()
        # A page that has loaded another form of the dashboard loads it again.
        form = " ".join([prefix, *sorted(self._without())])
        about = {"prefix": prefix, "form": form, "demo": self._shown.demo}
        if isinstance(self._source, Upstream):
            return JSONResponse({"kind": "prometheus", "name": self._source.address, **about})
        self._source.note_viewer()
        bounds = self._history.bounds_ms()
        return JSONResponse(
            {
                "kind": "built-in",
                **about,
                "interval_s": INTERVAL_S,
                "first_ms": bounds[0] if bounds else None,
                "last_ms": bounds[1] if bounds else None,
                "problem": self._source.problem or self._refused_series(),
            }
        )

    async def _query(self, request: Request) -> Response:
        path = request.url.path.removeprefix(f"{PREFIX}/api/v1/")
        if refused := self._refusal(path, request):
            return refused
        self._queries += 1
        try:
            if isinstance(self._source, Upstream):
                return await self._ask_prometheus(self._source, path, request)
            self._source.note_viewer()
            return await self._ask_history(path, request)
        except QueryError as err:
            return _error(_UNPROCESSABLE, "execution", str(err))
        except ClientDisconnect:
            return _error(_CLIENT_LEFT, "canceled", "the client has left")  # nobody gets it
        finally:
            self._queries -= 1

    def _refusal(self, path: str, request: Request) -> Response | None:
        if path not in _PATHS and not _LABEL_VALUES.fullmatch(path):
            return _error(404, "bad_data", f"{path} is not supported; {', '.join(_PATHS)} and label values are")
        if len(request.url.query) > _LONGEST_REQUEST:
            return _error(_TOO_LONG, "bad_data", f"the request has more than {_LONGEST_REQUEST} characters: shorten it")
        if self._queries >= _MOST_WAITING:
            return _error(_UNAVAILABLE, "unavailable", f"{_MOST_WAITING} queries are waiting: try again later")
        return None

    async def _ask_history(self, path: str, request: Request) -> Response:
        budget = Budget()
        try:
            body = await self._in_thread(request, self._body, self._answer(path, request, budget))
        finally:
            budget.cancel()  # if the client has left, or the server ends, the thread may still be at work
        return Response(body, media_type="application/json")

    async def _ask_prometheus(self, prometheus: Upstream, path: str, request: Request) -> Response:
        parameters = dict.fromkeys(request.query_params.multi_items())
        for _, value in parameters:
            check_size(value)
        # Built anew from what was checked: two programs may read an odd query string differently.
        query = urlencode([("timeout", f"{TIMEOUT_S:g}s"), *parameters])
        call = Call()
        try:
            reply = await self._in_thread(request, prometheus.get, path, query, call)
        finally:
            call.cancel()
        return Response(reply.body, reply.status, media_type="application/json")

    async def _in_thread(self, request: Request, function: Callable[..., _Result], *args: Any) -> _Result:
        """Return the function's result.

        Raises:
            ClientDisconnect: the client has left; the function is not started any more, or runs on.
        """
        running: asyncio.Future[Any] = asyncio.get_running_loop().run_in_executor(self._threads, function, *args)
        leaving: asyncio.Future[Any] = asyncio.create_task(_disconnect(request.receive))
        try:
            await asyncio.wait([running, leaving], return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                raise ClientDisconnect
            result: _Result = running.result()
            return result
        finally:
            running.cancel()
            leaving.cancel()

    @staticmethod
    def _body(answer: Callable[[], Any]) -> bytes:
        # In the thread of the query, too: a long result takes long to print.
        return json.dumps({"status": "success", "data": answer()}, ensure_ascii=False).encode()

    def _answer(self, path: str, request: Request, budget: Budget) -> Callable[[], Any]:
        try:
            # Imported late, because the dashboard alone needs the parser's library.
            from .api import BuiltIn
        except ImportError as err:
            raise QueryError(_NOT_INSTALLED.format(err.name)) from err
        built_in, parameters = BuiltIn(self._history, budget), dict(request.query_params)
        if path.startswith("label/"):
            return lambda: built_in.label_values(request.path_params["name"], parameters)
        if path == "metadata":
            return self._metadata
        return lambda: getattr(built_in, path)(parameters)

    def _prefix(self) -> str:
        """Return the prefix of the names of the project's metrics: as they are on the page, else as it is set."""
        families = self._source.families if isinstance(self._source, Scraper) else {}
        found = [name.removesuffix(_ERRORS) for name in families if name.endswith(_ERRORS)]
        if found:
            return min(found, key=len)
        options = Settings.from_env().options
        return (options and options.prefix) or ""

    def _without(self) -> frozenset[str]:
        """Return the parts of a dashboard that the project has no metrics for; with a Prometheus it is not known."""
        if not isinstance(self._source, Scraper):
            return frozenset()
        return frozenset(
            part
            for part, names in _PARTS.items()
            if not any(family.endswith(name) for family in self._source.families for name in names)
        )

    def _metadata(self) -> dict[str, list[dict[str, str]]]:
        """Return what the page says of each metric, in the form of Prometheus' API."""
        families = self._source.families if isinstance(self._source, Scraper) else {}
        return {name: [{"type": one.type, "help": one.help, "unit": ""}] for name, one in families.items()}

    def _refused_series(self) -> str:
        count = self._history.refused
        return f"{count} series are left out: the built-in history is full" if count else ""


class _WithHeaders:
    """Adds the headers that every response has."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                added = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await self._app(scope, receive, sending)


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _error(status: int, kind: str, reason: str) -> Response:
    return JSONResponse({"status": "error", "errorType": kind, "error": reason}, status)
