"""Each block of docs/databases-and-clients.md runs as it stands, and the page shows what the document shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import promql_parser
import pytest

from lib.kairo_metrics.instruments.declarations import DECLARATIONS
from tests.support.dev_server import REPOSITORY
from tests.support.variants import variants

DOCUMENT = (REPOSITORY / "docs" / "databases-and-clients.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", DOCUMENT, re.DOTALL)
SQLALCHEMY, DJANGO, CLIENTS, ALL_CLIENTS = [text for language, text in BLOCKS if language == "python"]
[SHOWN] = [text for language, text in BLOCKS if language == "text"]
[QUERIES] = [text for language, text in BLOCKS if language == "promql"]

# What a reader of the document has beside the block, and what it shows of the page.
PAGE = """
import httpx
from lib.kairo_metrics import flush, metrics_app

async def page():
    transport = httpx.ASGITransport(metrics_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.example.org") as client:
        answer = await client.get("/api/metrics", headers={"Authorization": "Bearer t"})
        assert answer.status_code == 200, answer.text
        print(answer.text)

asyncio.run(page())
"""
USE_SQLALCHEMY = """
import asyncio
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

class Base(DeclarativeBase):
    pass

class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)

Base.metadata.create_all(engine)
with Session(engine) as session:
    session.scalars(select(Order)).all()
    try:
        session.execute(insert(Order), [{"id": 1}, {"id": 1}])
    except IntegrityError:
        pass

async def report():
    async with reports.connect() as connection:
        await connection.execute(text("SELECT 1"))
    await reports.dispose()

asyncio.run(report())
engine.dispose()
"""
USE_DJANGO = """
import asyncio
from tests.support.wsgi_client import call_wsgi
from tests.support.django_shop.project import make_tables

make_tables()
for path in ("/sync", "/plain"):
    assert call_wsgi(app, "GET", path).status == "200 OK"
connections.close_all()
"""
USE_CLIENTS = """
import asyncio
from tests.support.outbound_server import outbound_server

async def pay(url):
    async with payments:
        await payments.get(url)
        try:
            await payments.get("http://127.0.0.1:1/")
        except httpx.ConnectError:
            pass

with outbound_server() as server, mails:
    asyncio.run(pay(f"{server.url}/200"))
    mails.get(f"{server.url}/200")
"""
USE_ALL_CLIENTS = """
import asyncio
from tests.support.outbound_server import outbound_server

with outbound_server() as server:
    httpx.get(f"{server.url}/200")
    requests.get(f"{server.url}/200")
"""
BEFORE_DJANGO = "import tests.support.django_shop.project\n"


def _page(program: str, folder: Path, redis_url: str) -> list[str]:
    """Run a program that ends with `PAGE`, and return the lines of the page."""
    environment = {**os.environ, "ENABLE_METRICS": "true", "REDIS_URL": redis_url, "METRICS_AUTH_TOKEN": "t"}
    ran = subprocess.run(
        [sys.executable, "-c", program + PAGE],
        cwd=folder,  # its databases are made here
        env={**environment, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


PROGRAMS = {
    "tenant_db": SQLALCHEMY + USE_SQLALCHEMY,
    "django": BEFORE_DJANGO + DJANGO + USE_DJANGO,
    "outbound": CLIENTS + USE_CLIENTS,
}


@pytest.mark.parametrize("families", variants(PROGRAMS, [*PROGRAMS][:1]))
def test_block_runs(families: str, tmp_path: Path, redis_url: str) -> None:
    """What the document says of a page is on it after a program with the block has run."""
    page = _page(PROGRAMS[families], tmp_path, redis_url)
    promised = [line for line in SHOWN.splitlines() if line.startswith(families)]
    assert promised
    assert [line for line in promised if line not in page] == []


def test_block_for_all_clients(tmp_path: Path, redis_url: str) -> None:
    """With the classes, `httpx.get` and `requests.get` are counted."""
    page = _page(ALL_CLIENTS + USE_ALL_CLIENTS, tmp_path, redis_url)
    assert 'outbound_http_requests_total{host="127.0.0.1",method="GET",status="200"} 2' in page


def test_queries_are_valid() -> None:
    """Prometheus understands each query, and asks only for metrics that exist."""
    names = {one.name for declared in DECLARATIONS.values() for one in declared}
    queries = re.split(r"^#.*\n", QUERIES, flags=re.MULTILINE)[1:]
    assert len(queries) == 4
    for query in queries:
        promql_parser.parse(query)
        for name in re.findall(r"\b(?:django|outbound|tenant)_\w+", query):
            assert name.removesuffix("_bucket") in names


def test_every_metric_is_named() -> None:
    """The list of all metrics has each of ours once, with its labels."""
    listed = (REPOSITORY / "docs" / "metrics.md").read_text(encoding="utf-8")
    for declared in DECLARATIONS.values():
        for one in declared:
            rows = [line for line in listed.splitlines() if line.startswith("|") and f"`{one.name}`" in line]
            assert len(rows) == 1, one.name
            assert all(f"`{label}`" in rows[0] for label in one.labelnames), one.name
