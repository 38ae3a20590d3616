"""Programs in a Django project, each in a process of its own, because a process has one project."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from tests.support.dev_server import REPOSITORY

__all__ = ["START", "TABLES", "shown"]

START = """
import asyncio, json, sys, threading
from tests.support.django_shop.project import DATABASES, added, make_tables, samples
from django.db import IntegrityError, OperationalError, connection, connections, transaction
from django.test import AsyncClient, Client
from lib.kairo_metrics import install, observe
from tests.support.django_shop.models import Customer, Gift, Late, Order, Tag

install()
shown = []

def show(name="django_query_duration_seconds_count"):
    shown.append(added(name))
"""
TABLES = """
make_tables()
observe(connections)
observe(connections)
show()
"""
_END = """
connections.close_all()
print(json.dumps(shown))
"""


def shown(program: str, start: str = START, database: dict[str, Any] | None = None) -> list[dict[str, float]]:
    """Run a program in a Django project, and return what it has shown, after what came before."""
    environment = {**os.environ, "ENABLE_METRICS": "true", "REDIS_URL": "redis://127.0.0.1:1"}
    ran = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", start + program + _END],
        env={**environment, "SHOP_DATABASE": json.dumps(database or {}), "METRICS_FLUSH_BUDGET_MS": "1"},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    every: list[dict[str, float]] = json.loads(ran.stdout.splitlines()[-1])
    return every[start.count("\nshow()") :]
