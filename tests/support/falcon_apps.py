"""The routes of framework_apps as apps of Falcon, for WSGI and for ASGI."""

from __future__ import annotations

from typing import Any

import falcon
import falcon.asgi

from lib.kairo_metrics.frameworks.request_route import request_route

__all__ = ["falcon_asgi", "falcon_wsgi"]


class _Item:
    def on_get(self, _req: Any, resp: Any, **_fields: Any) -> None:
        resp.text = "fine"


class _Broken:
    def on_get(self, _req: Any, _resp: Any, item: str) -> None:
        raise LookupError(item)


class _Handled:
    def on_get(self, _req: Any, _resp: Any) -> None:
        raise KeyError("on purpose")


class _Unavailable:
    def on_get(self, _req: Any, _resp: Any) -> None:
        raise falcon.HTTPServiceUnavailable


class _Named:
    def on_get(self, req: Any, resp: Any) -> None:
        request_route(req, "/named/{by}/code")
        resp.text = "fine"


def _answer(_req: Any, resp: Any, _error: Exception, _params: Any) -> None:
    resp.status = 500


def falcon_wsgi() -> Any:
    app = falcon.App()
    app.add_error_handler(KeyError, _answer)
    resources = [_Item(), _Item(), _Broken(), _Handled(), _Unavailable(), _Named()]
    _add(app, resources)
    return app


def _add(app: Any, resources: list[Any]) -> None:
    items = ["/items/{item:int}", "/api/v1/items/{item:int}"]
    for template, resource in zip(
        [*items, "/broken/{item}", "/handled", "/unavailable", "/named"], resources, strict=True
    ):
        app.add_route(template, resource)


class _Async:
    """A resource whose responder is a coroutine, as Falcon wants it for ASGI."""

    def __init__(self, resource: Any) -> None:
        self._resource = resource

    async def on_get(self, req: Any, resp: Any, **fields: Any) -> None:
        self._resource.on_get(req, resp, **fields)


async def _answer_async(_req: Any, resp: Any, _error: Exception, _params: Any) -> None:
    resp.status = 500


def falcon_asgi() -> Any:
    app = falcon.asgi.App()
    app.add_error_handler(KeyError, _answer_async)
    _add(app, [_Async(each) for each in (_Item(), _Item(), _Broken(), _Handled(), _Unavailable(), _Named())])
    return app
