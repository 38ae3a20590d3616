"""Instances of the content API in several processes, all on one new database."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from subprocess import PIPE

import pytest

from tests.support.content_client import ACME, any_database_url, connected, unavailable  # noqa: F401 - fixtures, too
from tests.support.postgres_server import LEAVES_SOCKETS

pytestmark = [LEAVES_SOCKETS, pytest.mark.long]
ROOT = Path(__file__).parents[2]


async def test_many_instances_start_at_once(database_url: str) -> None:
    """Instances that start at the same time on an empty database all succeed, and its tables are created once."""
    program = """
import sys
from lib.kairo_cms.database import Database
from lib.kairo_cms.entries import Entries
from lib.kairo_cms.validation import Content
entries = Entries(Database(sys.argv[1]))
print("ready", flush=True)
sys.stdin.read()
entries.create("acme", sys.argv[2], Content("title", "body"))
"""

    async def start(number: int) -> asyncio.subprocess.Process:
        command = (sys.executable, "-c", program, database_url, f"by{number}")
        return await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=PIPE, stdout=PIPE)

    instances = [await start(number) for number in range(6)]
    for instance in instances:
        assert instance.stdout is not None
        assert await instance.stdout.readline() == b"ready\n"
    # The end of their inputs starts them all at the same time.
    await asyncio.gather(*(instance.communicate(b"") for instance in instances))
    assert [instance.returncode for instance in instances] == [0] * 6
