"""A hostile client: random requests of everything that a server lets through, from a seed."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import Any

__all__ = ["Hostile"]

_METHODS = [
    "GET",
    "POST",
    "get",
    "GeT",
    "",
    "BREW",
    "M-SEARCH",
    "X" * 10_000,
    "GET\x00",
    "ПОЛУЧИТЬ",
    "\ud800",
    "__unknown__",
]
_LETTERS = "abcXYZ0189-_~.%/?#&=+ \"'\\{}<>\n\t\x00\x7fé世😀\ud800"
_TRACES = [
    b"00-%(trace)s-%(span)s-01",
    b"00-%(trace)s-%(span)s-00",
    b"ff-%(trace)s-%(span)s-01",
    b"00-%(trace)s-%(span)s-01-more",
    b"00-%(trace)s-%(span)s",
    b"\xff\xfe",
    b"",
    b"x" * 10_000,
]


class Hostile:
    """Calls an ASGI app with random requests.

    Args:
        seed: the same seed makes the same requests.
        prefixes: paths that the app has routes under; half of the requests go below one of them.
    """

    def __init__(self, seed: int, prefixes: list[str]) -> None:
        self.chance = Random(seed)
        self._prefixes = prefixes

    def word(self, longest: int = 40) -> str:
        """Make up a word of letters that often break a parser."""
        return "".join(self.chance.choices(_LETTERS, k=self.chance.randint(0, longest)))

    def path(self) -> str:
        """Make up a path: below a prefix, without a route, or very long."""
        chosen = self.chance.random()
        if chosen < 0.05:
            return "/" + "a/" * self.chance.randint(1, 5_000)
        if chosen < 0.15:
            return self.chance.choice(self._prefixes)
        below = self.chance.choice(self._prefixes) if chosen < 0.6 else ""
        return below + self.chance.choice(["", "/", "//", "/../"]) + self.word()

    def scope(self) -> dict[str, Any]:
        """Make up a request."""
        chance = self.chance
        path = self.path()
        hexes = {b"trace": b"%032x" % chance.getrandbits(128), b"span": b"%016x" % chance.getrandbits(64)}
        trace = chance.choice(_TRACES)
        headers = [
            (b"host", self.word().encode(errors="replace")),
            (b"traceparent", trace % hexes if b"%(" in trace else trace),
            (b"x-forwarded-for", self.word().encode(errors="replace")),
            (b"x-forwarded-prefix", path[:50].encode(errors="replace")),
            (chance.randbytes(5), chance.randbytes(20)),
        ]
        return {
            "type": "http" if chance.random() < 0.9 else "websocket",
            "asgi": {"version": "3.0"},
            "http_version": chance.choice(["1.0", "1.1", "2", "9"]),
            "method": chance.choice(_METHODS),
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(errors="replace"),
            "root_path": "",
            "query_string": self.word().encode(errors="replace"),
            "headers": chance.sample(headers, k=chance.randint(0, len(headers))),
            "client": ("192.0.2.1", 1),
            "server": ("cms.example.org", 80),
            "subprotocols": [],
        }

    async def call(self, app: Any, **fixed: Any) -> None:
        """Send one request, and accept any answer or error."""
        scope = {**self.scope(), **fixed}
        first = {"type": "websocket.connect"} if scope["type"] == "websocket" else {"type": "http.request", "body": b""}
        messages = iter([first])

        async def receive() -> Any:
            left = "websocket.disconnect" if scope["type"] == "websocket" else "http.disconnect"
            return next(messages, {"type": left, "code": 1006})

        async def send(_message: Any) -> None:
            pass

        with suppress(Exception):  # a server would answer 500, or close
            await app(scope, receive, send)
