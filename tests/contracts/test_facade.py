"""The public names, and the errors behind them."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import httpx
import pytest

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
    """What is listed exists, in order, and nothing else is promised."""
    assert package.__all__ == sorted(package.__all__)
    assert set(package.__all__) >= {"aflush", "flush", "install", "instrument", "metrics_app", "Settings", "KairoError"}
    assert all(getattr(package, name) for name in package.__all__)


def test_every_error_has_one_base_and_stands_in_the_tree() -> None:
    """One `except` catches all; the docstring shows them all."""
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), KairoError)
        assert name in (errors.__doc__ or "")
    assert issubclass(StoreUnavailable, StoreError)


def test_an_error_survives_a_process_boundary() -> None:
    """A pool of workers can hand an error back."""
    copied = pickle.loads(pickle.dumps(SettingsError("METRICS_SHARDS", "must be a number")))
    assert (copied.variable, str(copied)) == ("METRICS_SHARDS", "METRICS_SHARDS must be a number")


def test_an_app_is_left_alone_while_metrics_are_off() -> None:
    """Without ENABLE_METRICS nothing wraps the app."""

    async def app(*_: object) -> None: ...

    assert instrument(app, settings=Settings()) is app


def test_a_wsgi_app_is_refused_with_a_way_out(recording: Recording) -> None:
    """An app that could not be measured is not wrapped silently."""

    def app(environ: object, start_response: object) -> None: ...

    assert instrument(app, settings=Settings()) is app
    assert recording
    with pytest.raises(NotImplementedError, match="WSGI"):
        instrument(app)


async def test_instrumenting_twice_counts_once(recording: Recording) -> None:
    """A wrapped app is not wrapped again."""

    async def app(scope: object, receive: object, send: object) -> None: ...

    once = instrument(app)
    assert recording
    assert instrument(once) is once


async def test_the_endpoint_knows_the_settings_that_the_app_was_given(recording: Recording) -> None:
    """Settings given to `instrument` alone are those of `metrics_app` in the same process."""
    app = metrics_app(store=recording.store)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cms.example.org") as client:
        assert (await client.get("/api/metrics")).status_code == 503


SCRIPT = """
from prometheus_client import Counter
from lib.kairo_metrics import StoreError, flush, install

install()
jobs = Counter("jobs", "Jobs.")
jobs.inc()
try:
    flush()
except StoreError as err:
    print(type(err).__name__, err)
"""


def _run(**environment: str) -> str:
    cleared = {name: value for name, value in os.environ.items() if "REDIS" not in name and "METRICS" not in name}
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={**cleared, **environment}, capture_output=True, text=True, check=True
    )
    return ran.stdout


def test_a_script_flushes_or_learns_why_not(redis_url: str) -> None:
    """`flush` delivers, or raises with a reason that names what to set; while metrics are off it does nothing."""
    assert _run(ENABLE_METRICS="true", REDIS_URL=redis_url) == ""
    assert _run() == ""
    assert _run(ENABLE_METRICS="true").startswith("StoreUnavailable REDIS_URL is not set")
    assert _run(ENABLE_METRICS="true", REDIS_URL="redis://127.0.0.1:1").startswith("StoreUnavailable Redis: ")
