"""The errors of the content API: each names the fault, and nothing is stored."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from lib.kairo_cms.entries import Entries
from tests.support.content_client import acme_client  # noqa: F401 - pytest finds the fixture by this import

HELLO = {"slug": "hello", "title": "Hello", "body": "World"}


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """SQLite is enough: most of this is refused before the database is used."""
    return f"sqlite:///{tmp_path}/cms.sqlite3"


def refused(response: httpx.Response, status: int, *words: str) -> None:
    """Check that a response has the form of every error."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/json"
    assert response.json().keys() == {"error"}
    for word in words:
        assert word in response.json()["error"]


@pytest.mark.parametrize("value", [None, "", " ", "a b", "-a", "acme,globex", "a" * 64, "../x", "acme;", "ä"])
async def test_tenant_header(client: httpx.AsyncClient, value: str | None) -> None:
    """Without exactly one valid `X-Tenant` header nothing is shown: 400."""
    del client.headers["X-Tenant"]
    headers = {} if value is None else {b"X-Tenant": value.encode()}
    refused(await client.get("/api/content", headers=headers), 400, "X-Tenant")
    refused(await client.post("/api/content", json=HELLO, headers=headers), 400, "X-Tenant")


async def test_two_tenant_headers(client: httpx.AsyncClient) -> None:
    """Two `X-Tenant` headers are refused, because a proxy and the API could each use another one: 400."""
    response = await client.get("/api/content", headers=[("X-Tenant", "acme"), ("X-Tenant", "globex")])
    refused(response, 400, "X-Tenant")


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b'{"slug": }', b"\xff\xfe\xfd", b"[" * 100_000, b"null", b"[]", b'"text"', b"1" * 5_000],
    ids=["empty", "open", "no value", "no text", "deep", "null", "array", "string", "long number"],
)
async def test_no_json_object(client: httpx.AsyncClient, raw: bytes) -> None:
    """A body that is not a JSON object is refused: 400."""
    refused(await client.post("/api/content", content=raw), 400, "JSON")
    refused(await client.put("/api/content/hello", content=raw), 400, "JSON")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"slug": None}, ["'slug'", "missing"]),
        ({"title": None}, ["'title'", "missing"]),
        ({"body": None}, ["'body'", "missing"]),
        ({"slug": 7}, ["'slug'", "string"]),
        ({"title": ["x"]}, ["'title'", "string"]),
        ({"body": {}}, ["'body'", "string"]),
        ({"slug": ""}, ["'slug'"]),
        ({"slug": "Hello"}, ["'slug'", "a-z"]),
        ({"slug": "über"}, ["'slug'", "a-z"]),
        ({"slug": "hello\n"}, ["'slug'"]),
        ({"slug": "a" * 101}, ["'slug'", "100"]),
        ({"title": " \n"}, ["'title'", "blank"]),
        ({"title": "a" * 201}, ["'title'", "200"]),
        ({"body": "a" * 100_001}, ["'body'", "100000"]),
        ({"title": "a\0b"}, ["'title'", "U+0000"]),
        ({"body": "a\ud800b"}, ["'body'", "U+D800"]),
        ({"tenant": "globex"}, ["'tenant'", "unknown"]),
        ({"ti\ud800tle": "x"}, ["unknown"]),
        ({"x" * 900_000: "x"}, ["unknown"]),
    ],
)
async def test_fields(client: httpx.AsyncClient, change: dict[str, object], words: list[str]) -> None:
    """A field that is missing, unknown or invalid is named: 422."""
    fields = {name: value for name, value in (HELLO | change).items() if value is not None}
    # Not httpx's own JSON, which can't encode half of a surrogate pair.
    response = await client.post("/api/content", content=json.dumps(fields))
    refused(response, 422, *words)
    assert len(response.content) < 300
    assert (await client.get("/api/content")).json()["entries"] == []


async def test_null_is_no_string(client: httpx.AsyncClient) -> None:
    """JSON's null is not a string: 422."""
    refused(await client.post("/api/content", json=HELLO | {"title": None}), 422, "'title'", "string")


@pytest.mark.parametrize("slug", ["other", None, 1])
async def test_put_keeps_the_slug(client: httpx.AsyncClient, slug: object) -> None:
    """PUT can't rename an entry: another slug than that of the path gets 422."""
    await client.post("/api/content", json=HELLO)
    refused(await client.put("/api/content/hello", json=HELLO | {"slug": slug}), 422, "'slug'", "path")


async def test_slug_taken(client: httpx.AsyncClient) -> None:
    """A slug that exists is refused, and the existing entry stays unchanged: 409."""
    created = await client.post("/api/content", json=HELLO)
    refused(await client.post("/api/content", json=HELLO | {"title": "Other"}), 409, "'hello'", "taken")
    assert (await client.get("/api/content/hello")).json() == created.json()


@pytest.mark.parametrize("slug", ["nothing", "UPPER", "%ED%A0%80", "%00", "x" * 3_000])
async def test_entry_not_found(client: httpx.AsyncClient, slug: str) -> None:
    """A slug that does not exist, or is not valid, is named: 404."""
    path = f"/api/content/{slug}"
    for response in (
        await client.get(path),
        await client.put(path, json={"title": "x", "body": "x"}),
        await client.delete(path),
        await client.post(f"{path}/publish"),
    ):
        refused(response, 404, "slug")
        assert len(response.content) < 400


@pytest.mark.parametrize("limit", ["", "0", "101", "-1", "1.5", "ten", "1e1", "٣", "+5", "9" * 5_000])
async def test_limit(client: httpx.AsyncClient, limit: str) -> None:
    """A limit that is not a number from 1 to 100 is refused: 400."""
    refused(await client.get("/api/content", params={"limit": limit}), 400, "'limit'", "100")


@pytest.mark.parametrize("after", ["", "A", "a b", "\0", "x" * 101])
async def test_after(client: httpx.AsyncClient, after: str) -> None:
    """An `after` that is not a slug is refused: 400."""
    refused(await client.get("/api/content", params={"after": after}), 400, "'after'", "slug")


async def test_body_too_large(client: httpx.AsyncClient) -> None:
    """A body above a megabyte is refused, with and without Content-Length: 413."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 65_536

    refused(await client.post("/api/content", content=b" " * 1_000_001), 413, "1000000 bytes")
    refused(await client.put("/api/content/hello", content=endless()), 413, "1000000 bytes")
    assert sent < 20


async def test_unknown_path(client: httpx.AsyncClient) -> None:
    """A path that does not exist is refused in JSON too: 404."""
    for path in ("/", "/api", "/api/contents", "/api/content/hello/publish/twice", "/api/content//"):
        refused(await client.get(path), 404)
    refused(await client.get("/", headers={"Host": "["}), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/content", "GET, HEAD, POST"),
        ("DELETE", "/api/content/", "GET, HEAD, POST"),
        ("POST", "/api/content/hello", "DELETE, GET, HEAD, PUT"),
        ("GET", "/api/content/hello/publish", "POST"),
        ("BREW", "/api/content", "GET, HEAD, POST"),
    ],
)
async def test_wrong_method(client: httpx.AsyncClient, method: str, path: str, allowed: str) -> None:
    """A wrong method is refused; the header and the text name the allowed ones: 405."""
    response = await client.request(method, path)
    refused(response, 405, method, allowed)
    assert response.headers["Allow"] == allowed


async def test_defect(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error is JSON as well, and shows no internals: 500."""
    monkeypatch.setattr(Entries, "read", lambda *_: 1 / 0)
    response = await client.get("/api/content/hello")
    refused(response, 500)
    assert "division" not in response.text
