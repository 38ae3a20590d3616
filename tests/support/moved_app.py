"""Serves one app of a project, and on another port the page of prometheus_client's default registry.

    python -m tests.support.moved_app asgi|wsgi MODULE:NAME PORT REGISTRY_PORT

The current folder has the project.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

__all__: list[str] = []


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""


def _main(interface: str, place: str, port: int, registry_port: int) -> None:
    warnings.simplefilter("ignore")  # those of the other libraries
    sys.path.insert(0, str(Path.cwd()))
    module, _, name = place.partition(":")
    app = getattr(importlib.import_module(module), name)
    from prometheus_client import start_http_server

    start_http_server(registry_port, "127.0.0.1")
    if interface == "asgi":
        import uvicorn

        uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False)
        return
    make_server("127.0.0.1", port, app, handler_class=_Quiet).serve_forever()


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
