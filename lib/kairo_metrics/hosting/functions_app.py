"""One ASGI app that routes requests to functions as Vercel's router does."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from ..errors import HostingError
from .function import Function
from .functions_lifespan import answer_lifespan
from .rewrites import VercelJson

__all__ = ["FunctionsApp"]


class FunctionsApp:
    """Sends each request to its function: first by file, then by the rewrites in their order, as on Vercel.

    The function gets the path that the client requested: a rewrite only chooses the function.

    Args:
        functions: the functions to serve.
        vercel: the rewrites and headers of the project.
        lists_functions: whether the answer to an unknown path lists the functions; only the dev server does so.

    Raises:
        HostingError: two functions have the same path, or a rewrite leads to no function.
    """

    def __init__(self, functions: Sequence[Function], vercel: VercelJson, *, lists_functions: bool = False) -> None:
        self._functions = functions
        self._vercel = vercel
        self._lists_functions = lists_functions
        self._by_path: dict[str, Function] = {}
        for function in functions:
            for path in function.paths:
                other = self._by_path.setdefault(path, function)
                if other is not function:
                    raise HostingError(f"{other.file} and {function.file} both have the path {path}")
        for rule in vercel.rewrites:
            if rule.destination not in self._by_path:
                raise HostingError(
                    f"vercel.json: {rule.source!r} leads to {rule.destination!r}, which is not a function"
                )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await answer_lifespan(self._functions, receive, send)
            return
        path = scope["path"]
        send = _with_headers(send, self._vercel.headers_for(path))
        function = self._find(path)
        if function is None:
            await self._not_found(path)(scope, receive, send)
        else:
            await function.app({**scope, "state": function.state.copy()}, receive, send)

    def _find(self, path: str) -> Function | None:
        function = self._by_path.get(path.rstrip("/"))
        if function is None and (destination := self._vercel.destination(path)):
            function = self._by_path[destination]
        return function

    def _not_found(self, path: str) -> PlainTextResponse:
        if not self._lists_functions:
            return PlainTextResponse("not found\n", status_code=404)
        known = {function.path: f"  {function.path}  ({function.file})" for function in self._by_path.values()}
        rewritten = [f"  {rule.source}  -> {rule.destination}" for rule in self._vercel.rewrites]
        lines = [f"No function at {path}. These exist:", *known.values(), *rewritten, ""]
        return PlainTextResponse("\n".join(lines), status_code=404)


def _with_headers(send: Send, headers: list[tuple[str, str]]) -> Send:
    added = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = list(message.get("headers", ()))
            # A header that the function sets itself stays, as on Vercel.
            own_names = {name.lower() for name, _ in own}
            message = {**message, "headers": own + [header for header in added if header[0] not in own_names]}
        await send(message)

    return sending if added else send
