"""What a file in `api/` serves, and what is said of a file that serves nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.kairo_metrics.errors import HostingError
from lib.kairo_metrics.hosting.function import Function, Skipped, load
from lib.kairo_metrics.hosting.handler_app import HandlerApp

FILE = Path("api", "tried.py")


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    sys.modules.pop("api.tried", None)


def loaded(root: Path, source: str) -> Function | Skipped:
    (root / "api").mkdir()
    (root / FILE).write_text(source)
    return load(root, "/api/tried", FILE)


BASE = "from http.server import BaseHTTPRequestHandler as Base\n"


@pytest.mark.parametrize(
    ("source", "is_asgi"),
    [
        ("async def app(scope, receive, send): ...", True),
        ("async def application(scope, receive, send): ...", True),
        ("def app(environ, start_response): ...", False),
        ("from wsgiref.simple_server import demo_app as app", False),
        (f"{BASE}class handler(Base): ...", False),
        (f"{BASE}class Handler(Base): ...\nasync def app(scope, receive, send): ...", False),
        (f"{BASE}async def app(scope, receive, send): ...\nclass Handler(Base): ...", True),
        ("class App:\n  async def asgi(self, scope, receive, send): ...\napp = App()", True),
    ],
)
def test_every_form_is_served(tmp_path: Path, source: str, *, is_asgi: bool) -> None:
    """An ASGI app, a WSGI app and a handler class are functions; of several, the first in the file is served."""
    function = loaded(tmp_path, source)
    assert isinstance(function, Function)
    assert isinstance(function.app, HandlerApp) is not is_asgi


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("ANSWER = 42", "it has no top-level `app` or `application`, and no class `handler`"),
        ("handler = print", "Vercel takes `handler` as a class alone: assign the app to the name `app`"),
        (
            "if True:\n  app = print",
            "Vercel does not see `app` in this form: assign it at the top level, as in `app = ...`",
        ),
        ("app: object", "`app` has no value when the file is imported"),
        ("app = 3", "`app` is neither an ASGI nor a WSGI app"),
        ("def app(event, context): ...", "`app` is neither an ASGI nor a WSGI app"),
        (f"{BASE}app = Base", "`app` is neither an ASGI nor a WSGI app"),
        ("class Handler: ...", "the class `Handler` is no subclass of http.server.BaseHTTPRequestHandler"),
    ],
)
def test_what_a_file_lacks_is_said(tmp_path: Path, source: str, reason: str) -> None:
    """A file that is no function is skipped with a line that says why."""
    skipped = loaded(tmp_path, source)
    assert str(skipped) == f"api/tried.py is no function: {reason}."


def test_a_file_without_a_function_is_not_run(tmp_path: Path) -> None:
    """A script beside the functions is not imported, as on Vercel."""
    assert isinstance(loaded(tmp_path, "raise SystemExit(1)"), Skipped)


@pytest.mark.parametrize("source", ["app = 1 / 0", "app = ("])
def test_a_file_that_fails_is_shown(tmp_path: Path, source: str) -> None:
    """An exception or a syntax error in a function is an error with its traceback."""
    with pytest.raises(HostingError, match=r"(?s)api/tried.py can't be imported:.*(ZeroDivisionError|SyntaxError)"):
        loaded(tmp_path, source)
