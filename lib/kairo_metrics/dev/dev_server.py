"""The process of the dev server: starts its Redis, serves the functions with uvicorn, and cleans up at its end."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import importlib.util
import logging
import os
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..config.dev_run import announced
from ..config.dev_settings import DevSettings
from ..config.push_settings import PushSettings
from ..config.settings import Settings
from ..errors import DevError
from ..hosting.function import Function
from ..hosting.functions_app import FunctionsApp
from ..hosting.functions_lifespan import lifespans
from ..hosting.listener import listen
from ..hosting.project import Project
from .banner import banner
from .body_limit import BodyLimit
from .dashboard.app import PREFIX, Dashboard
from .dashboard.document import document_of
from .dashboard.mounting import mount
from .gate import Gate
from .parent import Parent
from .private_redis import private_redis

__all__ = ["run"]

_HOST = "127.0.0.1"
_GRACE_S = 5
# Longer than the longest query, so that a query that is too long gets an answer that says so.
_LONGEST_HEAD_BYTES = 262_144


def run(root: Path, port: int | None = None, *, with_parent: bool = False) -> None:
    """Serve the functions of the project in `root` until SIGINT, SIGTERM or SIGHUP, then exit with code 0.

    Args:
        root: the project's folder, with `api/` and perhaps `vercel.json`.
        port: the TCP port on 127.0.0.1; None takes it from `PORT`.
        with_parent: also end when the process that started this one ends.

    Raises:
        SettingsError: an environment variable is malformed.
        DevError: there is no Redis or uvicorn to start.
        HostingError: the port is taken, or a function can't be imported.
        SystemExit: a signal ended the server.
    """
    if importlib.util.find_spec("uvicorn") is None:
        raise DevError("The dev server needs uvicorn: pip install uvicorn.")
    parent = Parent() if with_parent else None
    if port is not None:
        os.environ["PORT"] = str(port)
    if DevSettings.from_env().enabled is not False:
        for settings_of in (Settings, PushSettings):
            settings_of.from_env()  # so that a malformed variable ends the start, and is not a line among others
    _end_on_signals()
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listen(_HOST, DevSettings.from_env().port))
        own_redis = _complete_environment(stack)
        project = _load_project(root)
        settings = DevSettings.from_env()
        app = BodyLimit(FunctionsApp(project.functions, project.vercel, lists_functions=True))
        document = document_of(Path())
        dashboard = mount(app, document, settings, project, own_redis=own_redis)
        source = dashboard.source_name if dashboard else ""
        _print(banner(settings, project, document.job, own_redis=own_redis, dashboard=source))
        if not stack.enter_context(announced(root, f"http://{_HOST}:{settings.port}")):
            _print("The other commands can't find this server by themselves: its folder for that is not private.")
        asyncio.run(_serve(dashboard or app, settings.hosts, project.functions, listener, parent))


def _end_on_signals() -> None:
    """Turn every ending signal into SystemExit, so that Redis is ended and the temporary folders are removed."""

    def end(_signal: int, _frame: object) -> None:
        # A second signal must not interrupt the clean-up, which takes bounded time.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        raise SystemExit(0)

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores the signal, and it stays ignored
        # uvicorn handles SIGTERM while requests are running, but not SIGHUP.
        signal.signal(signal.SIGHUP, lambda _signal, _frame: signal.raise_signal(signal.SIGTERM))


def _complete_environment(stack: contextlib.ExitStack) -> bool:
    """Set the variables that the functions need and that are missing; return whether that started a private Redis."""
    settings = DevSettings.from_env()
    if settings.enabled is None:
        os.environ["ENABLE_METRICS"] = "true"
    if settings.auth_token is None and settings.auth_token_source is None:
        os.environ["METRICS_AUTH_TOKEN"] = secrets.token_hex(32)
    if settings.database_url is None:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=f"kairo-data-{settings.port}-"))
        os.environ["DATABASE_URL"] = f"sqlite:///{folder}/content.sqlite3"
    if settings.redis_url is None:
        os.environ["REDIS_URL"] = stack.enter_context(private_redis())
    return settings.redis_url is None


def _load_project(root: Path) -> Project:
    project = Project.load(root)
    for file in project.skipped:
        _print(str(file))
    return project


async def _serve(
    app: BodyLimit | Dashboard,
    hosts: Sequence[str],
    functions: Sequence[Function],
    listener: socket.socket,
    parent: Parent | None,
) -> None:
    import uvicorn

    from .timed_connection import TimedConnection

    ready = False

    async def every_second() -> None:
        # uvicorn calls this when it starts to serve, and then every second.
        nonlocal ready
        if not ready:
            _print("Ready. Ctrl-C ends it.")
            ready = True
        if parent is not None and parent.is_ending():
            server.should_exit = True

    config = uvicorn.Config(
        Gate(app, hosts),
        lifespan="off",  # `lifespans` runs one for each function
        http=TimedConnection,
        h11_max_incomplete_event_size=_LONGEST_HEAD_BYTES,
        ws="none",  # as on Vercel
        log_config=_log_config(uvicorn.config.LOGGING_CONFIG),
        timeout_graceful_shutdown=_GRACE_S,
        timeout_notify=1,
        callback_notify=every_second,
    )
    server = uvicorn.Server(config)
    async with lifespans(functions), app.running() if isinstance(app, Dashboard) else contextlib.nullcontext():
        await server.serve(sockets=[listener])


def _log_config(default: dict[str, Any]) -> dict[str, Any]:
    """Return uvicorn's log configuration without its lines about start and end: requests and errors remain.

    The requests of the dashboard are left out too: it sends many every few seconds.
    """
    config = copy.deepcopy(default)
    config["filters"] = {"functions": {"()": _WithoutDashboard}}
    config["loggers"]["uvicorn.access"]["filters"] = ["functions"]
    config["loggers"]["uvicorn.error"]["level"] = "WARNING"
    return config


class _WithoutDashboard(logging.Filter):
    """Drops the log lines for requests to the dashboard."""

    def filter(self, record: logging.LogRecord) -> bool:
        # uvicorn's arguments: client, method, path, version, status.
        path = record.args[2] if isinstance(record.args, tuple) and len(record.args) > 2 else ""  # noqa: PLR2004
        return not str(path).startswith(f"{PREFIX}/")


def _print(text: str) -> None:
    # Flushed, because a program that reads these lines through a pipe waits for them.
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
