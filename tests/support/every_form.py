"""A small project with a function of every form that Vercel serves."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["make_project"]

ASGI = """
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from lib.kairo_metrics import instrument

async def echo(request):
    return Response(await request.body())

app = instrument(Starlette(routes=[Route("/{path:path}", echo, methods=["GET", "POST"])]))
"""

# A stream writes into the file that the query names when it learns that its client has left.
WSGI = """
import pathlib, time
from flask import Flask, Response, request
from lib.kairo_metrics import instrument

app = Flask(__name__)

@app.get("/wsgi/items/<int:number>")
def item(number):
    return {"number": number, "scheme": request.scheme, "host": request.host, "client": request.remote_addr}

@app.route("/wsgi/echo", methods=["POST"])
def echo():
    return Response(request.get_data(), mimetype="application/octet-stream")

@app.get("/wsgi/fails")
def fails():
    raise RuntimeError("the view failed")

@app.get("/wsgi/waits")
def waits():
    gate = pathlib.Path(request.args["gate"])
    with (gate / str(time.monotonic_ns())).open("w"):
        pass
    while len(list(gate.iterdir())) < 3:
        time.sleep(0.01)
    return "together"

@app.get("/wsgi/stream")
def stream():
    mark = pathlib.Path(request.args["mark"])
    def chunks():
        try:
            while True:
                yield b"tick\\n"
                time.sleep(0.02)
        finally:
            mark.write_text("closed")
    return Response(chunks())

@app.get("/wsgi/cut")
def cut():
    def chunks():
        yield b"the first half"
        raise RuntimeError("the second half failed")
    return Response(chunks())

app = instrument(app)
"""

DJANGO = """
import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
from lib.kairo_metrics import instrument

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="x")

def greeting(request, name):
    return HttpResponse(f"hello {name} {request.GET['a']} {request.body.decode()}")

urlpatterns = [path("django/<str:name>", greeting)]
application = instrument(get_wsgi_application())
"""

HANDLER = """
import pathlib, time, urllib.parse
from http.server import BaseHTTPRequestHandler
from lib.kairo_metrics import instrument

@instrument
class handler(BaseHTTPRequestHandler):
    def do_GET(self):
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        getattr(self, parts.path.rpartition("/")[2])(query)

    def handler(self, query):
        self.answer(f"{self.path} {self.client_address[0]}".encode())

    do_HEAD = do_GET

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def do_PUT(self):
        self.send_error(413)

    def fails(self, query):
        raise RuntimeError("the method failed")

    def cut(self, query):
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"the first half")

    def waits(self, query):
        gate = pathlib.Path(query["gate"])
        with (gate / str(time.monotonic_ns())).open("w"):
            pass
        while len(list(gate.iterdir())) < 3:
            time.sleep(0.01)
        self.answer(b"together")

    def stream(self, query):
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"tick\\n")
                time.sleep(0.02)
        finally:
            pathlib.Path(query["mark"]).write_text("closed")

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
"""

METRICS = """
from lib.kairo_metrics import metrics_app
app = metrics_app()
"""

VERCEL = {"rewrites": [{"source": "/wsgi/:path*", "destination": "/api/wsgi"},
                       {"source": "/django/:path*", "destination": "/api/django"},
                       {"source": "/handler/:path*", "destination": "/api/handler"}]}  # fmt: skip


def make_project(root: Path) -> Path:
    """Write the project into the new folder `root`: a function of each form, the page, and two files that are none."""
    (root / "api").mkdir(parents=True)
    for name, source in (
        ("asgi", ASGI),
        ("wsgi", WSGI),
        ("django", DJANGO),
        ("handler", HANDLER),
        ("metrics", METRICS),
    ):
        (root / "api" / f"{name}.py").write_text(source)
    (root / "api" / "hidden.py").write_text("handler = print\n")
    (root / "api" / "number.py").write_text("app = 3\n")
    (root / "vercel.json").write_text(json.dumps(VERCEL))
    return root
