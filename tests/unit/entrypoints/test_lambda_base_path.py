"""Base paths and stages: what the app sees of them, in every framework."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from litestar import Litestar, get
from litestar import Request as LitestarRequest
from quart import Quart

from lib.kairo_metrics import lambda_handler
from tests.deployment.platform.lambda_events import CALLERS, HTTP_API, Call
from tests.support.lambda_shop import REST_API, seen, shop

pytestmark = pytest.mark.usefixtures("event_loop_of_lambda")


# The option, the path that the client requests, and the root path. Where the client's path has a stage, an HTTP API
# leaves it in the event's path.
BASE_PATHS: list[tuple[str | None, str | None, str, str]] = [
    (None, None, "/items/7", ""),
    ("/", None, "/items/7", ""),
    ("", None, "/items/7", ""),
    ("/v1", None, "/v1/items/7", "/v1"),
    ("v1", None, "/v1/items/7", "/v1"),
    ("/v1/", None, "/v1/items/7", "/v1"),
    ("/shop/v1", None, "/shop/v1/items/7", "/shop/v1"),
    ("/v1", None, "/items/7", ""),  # requested under the default domain
    (None, "prod", "/prod/items/7", "/prod"),
    ("/v1", "prod", "/prod/v1/items/7", "/prod/v1"),
    ("/v1", "prod", "/v1/items/7", "/v1"),
    ("/v1", "prod", "/prod/items/7", "/prod"),
    ("/prod", "prod", "/prod/items/7", "/prod"),  # as users of Mangum name a stage
]


@pytest.mark.parametrize(("base_path", "stage", "path", "root_path"), BASE_PATHS)
def test_a_base_path_is_the_root_path(base_path: str | None, stage: str | None, path: str, root_path: str) -> None:
    """The app's routes do not have the base path or the stage, and its links do."""
    handler = lambda_handler(shop(), api_gateway_base_path=base_path)
    event = HTTP_API.event(Call("GET", path))
    event["requestContext"]["stage"] = stage or "$default"
    expected = {"name": "7", "path": path, "root_path": root_path}
    answer = seen(handler, event)
    assert answer.pop("url").endswith(f".amazonaws.com{root_path}/old")
    assert answer == expected
    if stage is None:
        for caller in CALLERS.values():
            assert seen(handler, caller.event(Call("GET", path))).items() >= expected.items()


def test_redirects_and_documents_have_the_base_path() -> None:
    """A redirect leads to an address that exists, and FastAPI's documentation finds its OpenAPI file."""
    handler = lambda_handler(shop(), api_gateway_base_path="/v1")
    moved = handler(REST_API.event(Call("GET", "/v1/old")), None)
    assert (moved["statusCode"], moved["headers"]["location"]) == (301, "/v1/items/new")
    assert "'/v1/openapi.json'" in handler(REST_API.event(Call("GET", "/v1/docs")), None)["body"]
    assert seen(handler, REST_API.event(Call("GET", "/v1/openapi.json")))["servers"] == [{"url": "/v1"}]


def test_a_base_path_ends_at_a_slash() -> None:
    """`/v1` is no part of `/v1beta`."""
    handler = lambda_handler(shop(), api_gateway_base_path="/v1")
    assert handler(HTTP_API.event(Call("GET", "/v1items/7")), None)["statusCode"] == 404
    assert handler(HTTP_API.event(Call("GET", "/v1beta/items/7")), None)["statusCode"] == 404


@pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated")
def test_an_app_with_a_root_path_of_its_own_is_served() -> None:
    """A user of Mangum who has set FastAPI's `root_path` to the base path or to the stage need not remove it."""
    app = FastAPI(root_path="/v1")
    app.mount("/shop", shop())
    handler = lambda_handler(app, api_gateway_base_path="/v1", lifespan="off")
    assert seen(handler, REST_API.event(Call("GET", "/v1/shop/items/7")))["url"].endswith("/v1/shop/old")
    stage = FastAPI(root_path="/prod")  # a REST API's event has the stage beside the path

    @stage.get("/items/{name}")
    async def item(name: str) -> dict[str, str]:
        return {"name": name}

    assert seen(lambda_handler(stage), REST_API.event(Call("GET", "/items/7"))) == {"name": "7"}


@get("/items/{name:str}", sync_to_thread=False)
def litestar_item(request: LitestarRequest[Any, Any, Any]) -> str:
    """Answer with the name."""
    return str(request.path_params["name"])


@pytest.mark.parametrize("framework", ["litestar", "quart"])
def test_other_frameworks_have_the_base_path(framework: str) -> None:
    """Litestar's and Quart's routes do not have the base path either."""
    app: Any = Litestar([litestar_item]) if framework == "litestar" else Quart("app")
    if framework == "quart":
        app.get("/items/<name>")(lambda name: name)
    handler = lambda_handler(app, api_gateway_base_path="/v1")
    answer = handler(REST_API.event(Call("GET", "/v1/items/7")), None)
    assert (answer["statusCode"], answer["body"]) == (200, "7")
