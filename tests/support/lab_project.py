"""A project with this repository's functions, and three more that fail or are slow on purpose."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.dev_server import REPOSITORY

__all__ = ["lab_project"]

FLAKY = """
from starlette.applications import Starlette
from starlette.routing import Route
from lib.kairo_metrics import instrument

async def flaky(request):
    raise RuntimeError("on purpose")

app = instrument(Starlette(routes=[Route("/api/flaky", flaky)]))
"""

BUSY = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from lib.kairo_metrics import instrument

async def busy(request):
    return PlainTextResponse("busy", 503)

app = instrument(Starlette(routes=[Route("/api/busy", busy)]))
"""

# A real query that takes as long as the request asks: SQLite calls a function of ours for the one row.
REPORT = """
import os
import time
from sqlalchemy import create_engine, event, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from lib.kairo_metrics import instrument
from lib.kairo_metrics.integrations.sqlalchemy import observe

class Base(DeclarativeBase):
    pass

class Report(Base):
    __tablename__ = "report"
    number: Mapped[int] = mapped_column(primary_key=True)

def pause(seconds):
    time.sleep(seconds)
    return seconds

engine = create_engine(os.environ["DATABASE_URL"] + ".reports", pool_size=20)
event.listen(engine, "connect", lambda connection, _: connection.create_function("pause", 1, pause))
Base.metadata.create_all(engine)
with Session(engine) as session, session.begin():
    session.add(Report(number=1))
observe(engine)

def run(seconds):
    with engine.connect() as connection:
        connection.execute(select(Report.number, func.pause(seconds))).all()

async def report(request):
    await run_in_threadpool(run, float(request.query_params["seconds"]))
    return PlainTextResponse("done")

app = instrument(Starlette(routes=[Route("/api/report", report)]))
"""


def lab_project(root: Path) -> Path:
    """Write the project into the new folder `root`; its server needs a DATABASE_URL of SQLite.

    `/api/flaky` raises, `/api/busy` answers 503, `/api/report?seconds=0.3` makes a query that takes 0.3 seconds.
    """
    root.mkdir()
    (root / "lib").symlink_to(REPOSITORY / "lib")
    shutil.copytree(REPOSITORY / "api", root / "api", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "vercel.json", root)
    for name, source in (("flaky", FLAKY), ("busy", BUSY), ("report", REPORT)):
        (root / "api" / f"{name}.py").write_text(source)
    return root
