"""The content API with a real SQLite file and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

# pytest finds the fixtures by these imports.
from tests.support.content_client import ACME, GLOBEX, acme_client, any_database_url  # noqa: F401
from tests.support.postgres_server import LEAVES_SOCKETS

pytestmark = [LEAVES_SOCKETS, pytest.mark.slow]
HELLO = {"slug": "hello", "title": "Hello", "body": "World"}


async def create(client: httpx.AsyncClient, slug: str, **fields: str) -> dict[str, Any]:
    response = await client.post("/api/content", json=HELLO | {"slug": slug} | fields)
    assert response.status_code == 201, response.text
    document: dict[str, Any] = response.json()
    return document


async def test_create(client: httpx.AsyncClient) -> None:
    """A new entry is a draft, and the response has its address."""
    response = await client.post("/api/content", json=HELLO)
    assert response.status_code == 201
    assert response.headers["Location"] == "/api/content/hello"
    document = response.json()
    assert document.items() >= (HELLO | {"status": "draft", "published_at": None}).items()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", document["created_at"])
    assert document["created_at"] == document["updated_at"]
    assert (await client.get(response.headers["Location"])).json() == document


async def test_replace(client: httpx.AsyncClient) -> None:
    """PUT replaces title and body, and sets a later `updated_at`."""
    created = await create(client, "hello")
    response = await client.put("/api/content/hello", json={"slug": "hello", "title": "Bye", "body": ""})
    assert response.status_code == 200
    document = response.json()
    assert (document["title"], document["body"], document["created_at"]) == ("Bye", "", created["created_at"])
    assert document["updated_at"] >= created["updated_at"]
    assert (await client.get("/api/content/hello")).json() == document


async def test_delete(client: httpx.AsyncClient) -> None:
    """A deleted entry does not exist, and its slug can be used again."""
    await create(client, "hello")
    response = await client.delete("/api/content/hello")
    assert (response.status_code, response.content) == (204, b"")
    assert (await client.get("/api/content/hello")).status_code == 404
    await create(client, "hello")


async def test_publish(client: httpx.AsyncClient) -> None:
    """Publishing again changes nothing: the date stays, also if the entry is replaced."""
    await create(client, "hello")
    first = await client.post("/api/content/hello/publish")
    again = await client.post("/api/content/hello/publish")
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert first.json()["status"] == "published"
    replaced = await client.put("/api/content/hello", json={"title": "Bye", "body": ""})
    assert replaced.json()["published_at"] == first.json()["published_at"]


async def test_publishing_is_counted(client: httpx.AsyncClient) -> None:
    """The business metric separates first from repeated publications, and has no label for tenant or slug."""

    def counted(kind: str) -> float:
        return REGISTRY.get_sample_value("content_published_total", {"kind": kind}) or 0.0

    first, again = counted("first"), counted("again")
    await create(client, "hello")
    await asyncio.gather(*(client.post("/api/content/hello/publish") for _ in range(5)))
    assert (counted("first") - first, counted("again") - again) == (1, 4)


async def test_empty_list(client: httpx.AsyncClient) -> None:
    """A tenant without entries gets an empty list and no error."""
    response = await client.get("/api/content")
    assert (response.status_code, response.json()) == (200, {"entries": [], "next": None})


async def test_paging(client: httpx.AsyncClient) -> None:
    """Following `next` returns every entry once, sorted by the bytes of the slug."""
    slugs = ["b", "a-b", "a", "a.b", "a0", "ab", "a_b"]
    for slug in slugs:
        await create(client, slug)
    seen: list[str] = []
    query = "?limit=3"
    while query:
        page = (await client.get(f"/api/content{query}")).json()
        seen += [entry["slug"] for entry in page["entries"]]
        query = page["next"] and f"?limit=3&after={page['next']}"
    assert seen == sorted(slugs)


async def test_full_last_page(client: httpx.AsyncClient) -> None:
    """A page that ends with the last entry has no next page."""
    await create(client, "a")
    await create(client, "b")
    page = (await client.get("/api/content?limit=2")).json()
    assert (len(page["entries"]), page["next"]) == (2, None)


async def test_long_entries_make_short_pages(client: httpx.AsyncClient) -> None:
    """A page of long entries has fewer, because platforms refuse responses of several megabytes."""
    for number in range(7):
        await create(client, f"long{number}", body="\x01" * 100_000)
    response = await client.get("/api/content")
    assert len(response.content) < 4_000_000
    assert response.json()["next"] == "long4"
    rest = (await client.get("/api/content?after=long4")).json()
    assert [entry["slug"] for entry in rest["entries"]] == ["long5", "long6"]


async def test_tenants_are_apart(client: httpx.AsyncClient) -> None:
    """No call of one tenant shows, changes or deletes an entry of another, and both may use the same slug."""
    mine = await create(client, "plan", body="acme's")
    for method, path, json in (
        ("GET", "/api/content/plan", None),
        ("PUT", "/api/content/plan", {"title": "x", "body": "x"}),
        ("POST", "/api/content/plan/publish", None),
        ("DELETE", "/api/content/plan", None),
    ):
        response = await client.request(method, path, json=json, headers=GLOBEX)
        assert response.status_code == 404, (method, response.text)
    assert (await client.get("/api/content", headers=GLOBEX)).json()["entries"] == []

    theirs = await client.post("/api/content", json=HELLO | {"slug": "plan", "body": "globex's"}, headers=GLOBEX)
    assert theirs.status_code == 201
    assert (await client.delete("/api/content/plan", headers=GLOBEX)).status_code == 204
    assert (await client.get("/api/content/plan", headers=ACME)).json() == mine


async def test_same_slug_race(client: httpx.AsyncClient) -> None:
    """If many requests create one slug at once, one succeeds and the others get 409."""
    posts = [client.post("/api/content", json=HELLO | {"body": str(number)}) for number in range(20)]
    responses = await asyncio.gather(*posts)
    assert sorted(response.status_code for response in responses) == [201] + [409] * 19
    won = next(response for response in responses if response.status_code == 201)
    assert (await client.get("/api/content/hello")).json() == won.json()


@pytest.mark.parametrize(
    "text", ["naïve café", "日本語", "🏳️‍🌈", "'; DROP TABLE entry; --", '"\\\n\t%s :x $1', "\u202e\x01"]
)
async def test_texts_come_back_unchanged(client: httpx.AsyncClient, text: str) -> None:
    """Titles and bodies may hold any text, even text that looks like SQL or a placeholder."""
    await create(client, "text", title=text, body=text)
    document = (await client.get("/api/content/text")).json()
    assert (document["title"], document["body"]) == (text, text)


@pytest.mark.parametrize("slug", ["x' OR '1'='1", "x'; DROP TABLE entry; --", "x%00", "%", "../hello", "x\u2028"])
async def test_hostile_slugs(client: httpx.AsyncClient, slug: str) -> None:
    """A slug with SQL in it finds nothing, creates nothing and damages nothing."""
    await create(client, "hello")
    path = "/api/content/" + "".join(f"%{byte:02X}" for byte in slug.encode())
    assert (await client.get(path)).status_code == 404
    assert (await client.delete(path)).status_code == 404
    assert (await client.post("/api/content", json=HELLO | {"slug": slug})).status_code == 422
    assert [entry["slug"] for entry in (await client.get("/api/content")).json()["entries"]] == ["hello"]


async def test_trailing_slash(client: httpx.AsyncClient) -> None:
    """A slash at the end of a path changes nothing, and causes no redirect."""
    assert (await client.post("/api/content/", json=HELLO)).status_code == 201
    assert (await client.get("/api/content/")).json() == (await client.get("/api/content")).json()
    assert (await client.get("/api/content/hello/")).status_code == 200
    assert (await client.post("/api/content/hello/publish/")).status_code == 200


@pytest.mark.parametrize("path", ["/api/content", "/api/content/hello"])
async def test_head(client: httpx.AsyncClient, path: str) -> None:
    """HEAD returns the headers of GET."""
    await create(client, "hello")
    head, get = await client.head(path), await client.get(path)
    assert (head.status_code, head.headers) == (200, get.headers)
