"""A Flask app."""

import itertools
from collections.abc import Iterator

from flask import Flask, Response
from prometheus_client import Counter

from lib.kairo_metrics import instrument

READ = Counter("items_read_total", "Items read.")
PARTS = ("one ", "two ", "three")

app = instrument(Flask(__name__))


@app.get("/api/flask_app/items/<int:number>")
def item(number: int) -> str:
    READ.inc()
    return f"item {number}"


@app.get("/api/flask_app/broken/<int:number>")
def broken(number: int) -> str:
    raise LookupError(number)


@app.get("/api/flask_app/answers/<kind>/<int:status>")
def answer(kind: str, status: int) -> Response:
    READ.inc()

    def parts() -> Iterator[str]:
        yield from itertools.repeat("x" * 65_536) if kind == "endless-stream" else PARTS

    response = Response(parts() if kind.endswith("stream") else "".join(PARTS), status)
    if kind == "unsized":
        response.automatically_set_content_length = False
        del response.headers["Content-Length"]
    elif kind == "sized-stream":
        response.headers["Content-Length"] = str(len("".join(PARTS)))
    return response
