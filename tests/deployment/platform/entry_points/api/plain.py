"""A WSGI app without a framework."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import Counter

from lib.kairo_metrics import instrument

READ = Counter("items_read_total", "Items read.")
PARTS = (b"one ", b"two ", b"three")


@instrument
def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    action, _, status = environ["PATH_INFO"].removeprefix("/api/plain/").partition("/")
    if action == "broken":
        raise LookupError(status)
    READ.inc()
    kind = action.removeprefix("answers-")
    sized = kind in {"whole", "sized-stream"}
    headers = [("Content-Length", str(len(b"".join(PARTS))))] if sized else []
    write = start_response(f"{status} Status", headers)
    if kind == "written":
        for part in PARTS:
            write(part)
        return []
    return _parts(kind) if kind.endswith("stream") else [b"".join(PARTS)]


def _parts(kind: str) -> Iterator[bytes]:
    yield from itertools.repeat(b"x" * 65_536) if kind == "endless-stream" else PARTS
