"""The production server, for hosts that do not run functions themselves: Heroku, Docker, Kubernetes, any machine.

It serves the functions in `api/` as Vercel's router does. Unlike the dev server it sets nothing up: Redis, token and
database come from the environment.
"""

from __future__ import annotations

import copy
import importlib.util
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from ..config.serve_settings import ServeSettings
from ..errors import HostingError, KairoError
from .functions_app import FunctionsApp
from .listener import listen
from .project import Project

__all__ = ["create", "run"]

# How long a request may run after SIGTERM. Docker kills after 10 s, and the last flush needs the time between.
_GRACE_S = 8
# The proxy has to close an idle connection first: otherwise it may send a request while the server closes it.
# Heroku's router closes after 90 s, AWS's load balancers after 60 s.
_KEEP_ALIVE_S = 100
# uvicorn's exit code for a failed startup: its supervisor then does not start the process again.
_STARTUP_FAILED = 3
_log = logging.getLogger("uvicorn.error")


def run(
    root: Path, host: str, port: int | None = None, workers: int | None = None, *, logs_requests: bool = False
) -> None:
    """Serve the functions of the project in `root` until SIGTERM or SIGINT, then exit with code 0.

    Requests that are running are answered first, and their metrics are flushed, within about 10 seconds.

    Args:
        root: the project's folder, with `api/` and perhaps `vercel.json`.
        host: the address to listen on; `0.0.0.0` is every IPv4 address of this machine, `::` every address.
        port: the TCP port; None takes it from `PORT`.
        workers: the number of processes; None takes it from `WEB_CONCURRENCY`.
        logs_requests: whether each request is logged as a line on standard output.

    Raises:
        SettingsError: a variable of the server is malformed; those of metrics take no app down.
        HostingError: the port is taken, or uvicorn is missing.
        SystemExit: a signal ended the server (code 0), or a function can't be imported or started (code 3).
    """
    if importlib.util.find_spec("uvicorn") is None:
        raise HostingError("The server needs uvicorn: pip install uvicorn.")
    import uvicorn

    for variable, value in (("PORT", port), ("WEB_CONCURRENCY", workers)):
        if value is not None:
            os.environ[variable] = str(value)
    settings = ServeSettings.from_env()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit)
    with listen(host, settings.port) as listener:
        if not root.is_dir():
            raise HostingError(f"{root} is not a folder.")
        os.chdir(root)  # `create` loads the project from here, in other processes too
        config = uvicorn.Config(
            f"{__name__}:{create.__name__}",
            factory=True,
            workers=settings.workers,
            ws="none",  # as on Vercel
            lifespan="on",
            log_config=_log_config(uvicorn.config.LOGGING_CONFIG),
            access_log=logs_requests,
            server_header=False,
            forwarded_allow_ips=settings.trusted_proxies,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_GRACE_S,
        )
        _log.info("Listening on %s, port %s, processes: %s", host, settings.port, settings.workers)
        if settings.workers == 1:
            uvicorn.Server(config).run(sockets=[listener])
        else:
            _supervise(config, listener)


def create() -> FunctionsApp:
    """Return the app that serves the project in the working directory; the server calls it in each process.

    Raises:
        SystemExit: the project can't be loaded; the reason was written to standard error.
    """
    try:
        project = Project.load(Path())
        for file in project.skipped:
            _log.warning("%s", file)
        return FunctionsApp(project.functions, project.vercel)
    except KairoError as err:
        sys.stderr.write(f"{err}\n")
        raise SystemExit(_STARTUP_FAILED) from err


def _supervise(config: Any, listener: Any) -> None:
    """Run several processes that share the socket; a process that dies is replaced."""
    from uvicorn.supervisors import Multiprocess

    supervisor = Multiprocess(config, sockets=[listener])
    supervisor.run()
    if any(process.process.exitcode == _STARTUP_FAILED for process in supervisor.processes):
        raise SystemExit(_STARTUP_FAILED)


def _exit(_signal: int, _frame: object) -> None:
    # While it serves, uvicorn handles the signal itself, and raises it again at the end.
    raise SystemExit(0)


def _log_config(default: dict[str, Any]) -> dict[str, Any]:
    """Return uvicorn's log configuration, extended so that log lines of functions appear too."""
    config = copy.deepcopy(default)
    config["root"] = {"handlers": ["default"], "level": "INFO"}
    return config
