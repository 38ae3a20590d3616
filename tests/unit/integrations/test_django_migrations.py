"""The migrations of a real Django project, in `django_migrations_applied` and `django_migrations_unapplied`."""

from __future__ import annotations

import pytest

from tests.support.django_run import START, shown

pytestmark = pytest.mark.slow

MIGRATED = """
from django.core.management import call_command
from lib.kairo_metrics.integrations import django_migrations

now_s = [1000.0]
django_migrations._COUNT._clock = lambda: now_s[0]

def show_both():
    shown.append({f"{name} {alias}": value for name in ("applied", "unapplied")
        for alias, value in samples(f"django_migrations_{name}").items()})

def migrate(name, **options):
    call_command("migrate", "django_shop", name, verbosity=0, **options)
"""
COUNTED = """
migrate("0001")
migrate("0002", database="reports")
observe(connections, migrations=True)
observe(connections, migrations=True)
show_both()
Client().get("/plain")
show_both()
migrate("0002")
Client().get("/plain")
show_both()
now_s[0] += 61
async def ask():
    await AsyncClient().get("/async")
asyncio.run(ask())
show_both()
"""


def test_applied_and_unapplied() -> None:
    """They are counted for each database after the first request, and again after a minute until none is missing."""
    assert shown(COUNTED, START + MIGRATED) == [
        {},
        {"applied default": 1, "unapplied default": 1, "applied reports": 2, "unapplied reports": 0},
        {"applied default": 1, "unapplied default": 1, "applied reports": 2, "unapplied reports": 0},
        {"applied default": 2, "unapplied default": 0, "applied reports": 2, "unapplied reports": 0},
    ]


CHEAP = """
migrate("0002")
migrate("0002", database="reports")
connections.close_all()  # as Django does after each request
observe(connections, migrations=True)
Client().get("/plain")
show()
now_s[0] += 10_000
Client().get("/plain")
show()
assert connection.connection is None
"""


def test_no_query_once_all_are_applied() -> None:
    """An instance whose databases have all migrations asks them once, and leaves no connection open."""
    first, later = shown(CHEAP, START + MIGRATED)
    assert first
    assert later == {}


FIRST_REQUEST = """
import httpx
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from lib.kairo_metrics import Settings, instrument
from lib.kairo_metrics.testing import MemoryStore
from tests.support.instance import samples as stored
from tests.support.wsgi_client import call_wsgi

migrate("0001")
connections.close_all()
chosen = Settings(enabled=True, redis_url="redis://127.0.0.1:1")
store = MemoryStore(chosen)
observe(connections, migrations=True)

async def ask():
    app = instrument(get_asgi_application(), settings=chosen, store=store)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop.example.org") as client:
        assert (await client.get("/plain")).text == "fine"

if sys.argv[1:] == ["asgi"]:
    asyncio.run(ask())
else:
    call_wsgi(instrument(get_wsgi_application(), settings=chosen, store=store), "GET", "/plain")
shown.append(asyncio.run(stored(store, 'django_migrations_unapplied{alias="default"')))
"""


@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_sent_with_the_first_request(interface: str) -> None:
    """What is counted after the first answer is in the batch of that request, in both of Django's modes."""
    start = START.replace("install()\n", f"sys.argv[1:] = [{interface!r}]\n")
    assert shown(FIRST_REQUEST, start + MIGRATED) == [{'django_migrations_unapplied{alias="default"}': 1}]


NOT_ASKED = """
observe(connections)
Client().get("/plain")
show_both()
show()
"""


def test_only_if_asked_for() -> None:
    """Without `migrations=True` nothing is counted, and no database is asked."""
    assert shown(NOT_ASKED, START + MIGRATED) == [{}, {}]


AWAY = """
import logging
logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
migrate("0002")
connections["reports"].settings_dict["NAME"] = "/no/such/folder/x.sqlite3"
observe(connections, migrations=True)
assert Client().get("/plain").content == b"fine"
assert Client().get("/plain").content == b"fine"
show_both()
show("django_query_errors_total")
"""


def test_database_that_is_away() -> None:
    """A database that can't be reached fails no request, is tried once a minute, and its error is counted."""
    assert shown(AWAY, START + MIGRATED) == [
        {"applied default": 2, "unapplied default": 0},
        {"reports raw connect OperationalError": 1},
    ]


IN_A_TEST = """
migrate("0002")
observe(connections, migrations=True)
with transaction.atomic():
    Client().get("/plain")
show_both()
"""


def test_transaction_around_a_request() -> None:
    """In a test of Django's, whose transaction is open around the request, no query is added to it."""
    [both] = shown(IN_A_TEST, START + MIGRATED)
    assert "applied default" not in both
