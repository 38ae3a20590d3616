"""The public names of the package, and its errors."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

import lib.kairo_metrics as package
from lib.kairo_metrics import (
    KairoError,
    Settings,
    SettingsError,
    StoreError,
    StoreUnavailable,
    errors,
    instrument,
    metrics_app,
)
from tests.support.recording import Recording


def test_the_facade_names_what_is_public() -> None:
    """Every name in `__all__` exists, and the names are sorted."""
    assert package.__all__ == sorted(package.__all__)
    assert set(package.__all__) >= {"aflush", "flush", "install", "instrument", "metrics_app", "Settings", "KairoError"}
    assert all(getattr(package, name) for name in package.__all__)


def test_every_public_name_is_listed_before_it_is_imported() -> None:
    """An editor and a REPL complete all public names, also those whose modules are imported at their first use."""
    code = "import lib.kairo_metrics as package; print(set(package.__all__) - set(dir(package)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"
    with pytest.raises(AttributeError, match="no attribute 'unknown'"):
        _ = package.unknown


def _annotations(node: ast.AST) -> Iterator[ast.expr]:
    """Give the annotations of one function, or of a class's fields and public methods."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        arguments = node.args
        for argument in (*arguments.posonlyargs, *arguments.args, arguments.vararg, *arguments.kwonlyargs):
            if argument is not None and argument.annotation is not None:
                yield argument.annotation
        if node.returns is not None:
            yield node.returns
    elif isinstance(node, ast.ClassDef):
        for member in node.body:
            if isinstance(member, ast.AnnAssign):
                yield member.annotation
            elif not getattr(member, "name", "_").startswith("_") or getattr(member, "name", "") == "__init__":
                yield from _annotations(member)


def _names_of_ours(public: Any) -> set[str]:
    """Return the names of this package in the annotations of a function or class."""
    module = ast.parse(Path(inspect.getsourcefile(public) or "").read_text())
    ours = {
        alias.asname or alias.name
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    } | {node.name for node in module.body if isinstance(node, ast.ClassDef)}
    definitions = [node for node in module.body if getattr(node, "name", "") == public.__name__]  # overloads as well
    used = {
        node.id
        for definition in definitions
        for annotation in _annotations(definition)
        for node in ast.walk(annotation)
        if isinstance(node, ast.Name)
    }
    return used & ours


# A caller passes a store on and calls none of its methods, so what those take and return is not public.
@pytest.mark.parametrize("name", [name for name in package.__all__ if name not in {"ExemplarSource", "Store"}])
def test_what_a_public_signature_names_is_public(name: str) -> None:
    """A caller can annotate everything that a public function or class takes or returns."""
    assert _names_of_ours(getattr(package, name)) <= set(package.__all__)


def test_the_types_of_the_signatures_are_found() -> None:
    """The test before this one finds our names in annotations."""
    found = {name for function in (instrument, metrics_app, package.push_app) for name in _names_of_ours(function)}
    assert found == {"ExemplarSource", "PushSettings", "Settings", "Store", "TokenSource"}


def test_every_error_has_one_base_and_stands_in_the_tree() -> None:
    """One `except` catches every error, and the docstring shows every error."""
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), KairoError)
        assert name in (errors.__doc__ or "")
    assert issubclass(StoreUnavailable, StoreError)


def test_an_error_survives_a_process_boundary() -> None:
    """A pool of worker processes can return an error."""
    copied = pickle.loads(pickle.dumps(SettingsError("METRICS_SHARDS", "must be a number")))
    assert (copied.variable, str(copied)) == ("METRICS_SHARDS", "METRICS_SHARDS must be a number")


def test_an_app_is_left_alone_while_metrics_are_off() -> None:
    """Without ENABLE_METRICS nothing wraps the app."""

    async def app(*_: object) -> None: ...

    assert instrument(app, settings=Settings()) is app


async def test_instrumenting_twice_counts_once(recording: Recording) -> None:
    """A wrapped app is not wrapped again."""

    async def app(scope: object, receive: object, send: object) -> None: ...

    once = instrument(app)
    assert recording
    assert instrument(once) is once


async def test_the_endpoint_has_the_settings_of_the_app(recording: Recording) -> None:
    """`metrics_app` takes over the settings that `instrument` was given in the same process."""
    app = metrics_app(store=recording.store)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cms.example.org") as client:
        assert (await client.get("/api/metrics")).status_code == 503


SCRIPT = """
import asyncio, sys
from prometheus_client import Counter
from lib.kairo_metrics import StoreError, aflush, flush, install

install()
jobs = Counter("jobs", "Jobs.")
strict = {"strict": True} if sys.argv[1:] == ["strict"] else {}
for send in (flush, lambda **options: asyncio.run(aflush(**options))):
    jobs.inc()
    try:
        print(send(**strict))
    except StoreError as err:
        print(type(err).__name__, err)
"""


def _run(*arguments: str, **environment: str) -> list[str]:
    cleared = {name: value for name, value in os.environ.items() if "REDIS" not in name and "METRICS" not in name}
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        env={**cleared, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.splitlines()


def test_a_flush_tells_whether_it_arrived(redis_url: str) -> None:
    """`flush` and `aflush` are True if nothing is pending any more, as it always is with metrics off, else False."""
    assert _run(ENABLE_METRICS="true", REDIS_URL=redis_url) == ["True", "True"]
    assert _run() == ["True", "True"]
    assert _run(ENABLE_METRICS="true", METRICS_SHARDS="many") == ["True", "True"]
    assert _run(ENABLE_METRICS="true") == ["False", "False"]
    assert _run(ENABLE_METRICS="true", REDIS_URL="redis://127.0.0.1:1") == ["False", "False"]


def test_a_strict_flush_raises_the_reason(redis_url: str) -> None:
    """With `strict=True` a failure is an error that names the variable to set; else nothing changes."""
    assert _run("strict", ENABLE_METRICS="true", REDIS_URL=redis_url) == ["True", "True"]
    assert _run("strict") == ["True", "True"]
    for line in _run("strict", ENABLE_METRICS="true"):
        assert line.startswith("StoreUnavailable REDIS_URL is not set")
    for line in _run("strict", ENABLE_METRICS="true", REDIS_URL="redis://127.0.0.1:1"):
        assert line.startswith("StoreUnavailable Redis: ")


async def test_a_flush_later_sends_what_one_left(recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `flush` could not send stays pending, and the next one that is True has sent it."""
    registry = CollectorRegistry()
    package.install(registry)
    Counter("jobs_of_a_flush", "Jobs.", registry=registry).inc()

    def refuse(*_: object) -> object:
        raise StoreUnavailable("away")

    with monkeypatch.context() as away:
        away.setattr(recording.store, "apply", refuse)
        assert await package.aflush() is False
        assert await asyncio.to_thread(package.flush) is False
        assert recording.pipeline.flusher.pending
    assert await package.aflush() is True
    assert await recording.samples("jobs_of_a_flush") == {"jobs_of_a_flush_total": 1}
    assert await package.aflush() is True
