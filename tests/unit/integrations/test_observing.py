"""`observe`: what it takes, with metrics on and off, and what it imports."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any, cast

import pytest

from tests.support.dev_server import REPOSITORY
from tests.support.variants import variants

pytestmark = pytest.mark.slow


def _ran(program: str, **environment: str) -> str:
    cleared = {name: value for name, value in os.environ.items() if "REDIS" not in name and "METRICS" not in name}
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**cleared, **environment},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


WRONG = """
import httpx, requests, sqlalchemy
from django.core.cache import caches
from django.db import connection, connections
from sqlalchemy.orm import sessionmaker
from lib.kairo_metrics import observe

engine = sqlalchemy.create_engine("sqlite://")
for target, options in [
    (object(), {}), (None, {}), (httpx, {}), (httpx.get, {}), (httpx.Response, {}), (requests.Response(), {}),
    (sessionmaker(), {}), (connection, {}), (caches, {}), (dict, {}),
    (engine, {"migrations": True}), (httpx.Client, {"migrations": True}), (connections, {"migrations": "yes"}),
]:
    try:
        observe(target, **options)
    except TypeError as err:
        print(err)
    else:
        print("taken:", target)
"""


def test_wrong_arguments() -> None:
    """What can't be observed is an error that says what can, in the same words with metrics on, off and wrong."""
    on = _ran(WRONG, ENABLE_METRICS="true", REDIS_URL="redis://127.0.0.1:1")
    assert on == _ran(WRONG) == _ran(WRONG, ENABLE_METRICS="perhaps")
    nothing = "observe takes an engine of SQLAlchemy, django.db.connections, a client of httpx or a session of requests"
    single = "observe takes django.db.connections, which has every connection"
    option = "migrations must be True or False, and False for {}: it is for Django alone"
    assert on.splitlines() == [
        *[f"{nothing}, not {name}" for name in ("object", "NoneType", "module", "function")],
        "observe takes a Client or an AsyncClient of httpx, not Response",
        "observe takes a Session of requests, not Response",
        "observe takes an engine, not sessionmaker",
        f"{single}, not ConnectionProxy",
        f"{single}, not CacheHandler",
        f"{nothing}, not dict",
        *[option.format(name) for name in ("Engine", "Client", "ConnectionHandler")],
    ]


OFF = """
import sys
from lib.kairo_metrics import Settings, flush, install, instrument, observe
assert not {"httpx", "requests", "sqlalchemy", "django"} & {name.partition(".")[0] for name in sys.modules}

import django, httpx, requests, sqlalchemy
from django.conf import settings
settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
django.setup()
from django.core.signals import request_finished
from django.db import connections

engine, client, session = sqlalchemy.create_engine("sqlite://"), httpx.Client(), requests.Session()
before = [dict(vars(each)) for each in (client, session)]
for target in engine, client, session, httpx.AsyncClient:
    assert observe(target) is target
observe(connections, migrations=True)

assert [dict(vars(each)) for each in (client, session)] == before
from lib.kairo_metrics.integrations.sqlalchemy import _fail
assert not sqlalchemy.event.contains(engine, "handle_error", _fail)
assert not hasattr(httpx.AsyncClient._send_single_request, "__wrapped__")
assert connections["default"].execute_wrappers == []
assert "kairo" not in repr(request_finished.receivers) and "MigrationCount" not in repr(request_finished.receivers)
from lib.kairo_metrics.instruments.catalogue import OWN
assert OWN._names_to_collectors == {}
assert not {name for name in sys.modules if name == "redis"}
"""
LATER = """
from lib.kairo_metrics.testing import MemoryStore
from tests.support.outbound_server import counted, outbound_server
chosen = Settings(enabled=True, redis_url="redis://127.0.0.1:1")

async def app(scope, receive, send): ...

instrument(app, settings=chosen, store=MemoryStore(chosen))
with outbound_server() as server:
    for each in client, session:
        each.get(f"{server.url}/200")
        each.close()
with engine.connect() as connection:
    connection.execute(sqlalchemy.text("SELECT 1"))
with connections["default"].cursor() as cursor:
    cursor.execute("SELECT 1")
connections.close_all()
host = {"host": "127.0.0.1", "method": "GET", "status": "200"}
assert OWN.get_sample_value("outbound_http_requests_total", host) == 2
raw = {"model": "raw", "operation": "select"}
assert OWN.get_sample_value("tenant_db_query_duration_seconds_count", raw) == 1
assert OWN.get_sample_value("django_query_duration_seconds_count", {"alias": "default", **raw}) == 1
"""


def test_metrics_off() -> None:
    """With metrics off `observe` changes nothing of what it is given, and imports no library."""
    _ran(OFF)
    _ran(OFF, ENABLE_METRICS="perhaps")


def test_metrics_that_are_turned_on_later() -> None:
    """What was given before `instrument` turned metrics on by its settings is observed from then on."""
    _ran(OFF + LATER)


BEFORE_SETTINGS = """
from django.db import connections
from lib.kairo_metrics import observe
from lib.kairo_metrics.instruments.catalogue import OWN
assert observe(connections) is connections
import django
from django.conf import settings
settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
django.setup()
with connections["default"].cursor() as cursor:
    cursor.execute("SELECT 1")
connections.close_all()
labels = {"alias": "default", "model": "raw", "operation": "select"}
assert OWN.get_sample_value("django_query_duration_seconds_count", labels) == 1
"""


def test_django_before_its_settings() -> None:
    """Django's connections may be given before the project has read its settings."""
    _ran(BEFORE_SETTINGS, ENABLE_METRICS="true", REDIS_URL="redis://127.0.0.1:1", METRICS_FLUSH_BUDGET_MS="1")


PREFIX = """
import httpx
from lib.kairo_metrics import install, observe
from lib.kairo_metrics.instruments.catalogue import OWN
from tests.support.outbound_server import outbound_server

with outbound_server() as server, observe(httpx.Client()) as client:
    client.get(f"{server.url}/200")
    install(prefix="shop_")
    client.get(f"{server.url}/200")
host = {"host": "127.0.0.1", "method": "GET"}
assert OWN.get_sample_value("shop_outbound_http_requests_total", {**host, "status": "200"}) == 2
assert OWN.get_sample_value("shop_outbound_http_requests_total", {**host, "status": "__error__"}) == 0
assert OWN.get_sample_value("shop_outbound_http_request_duration_seconds_count", host) == 2
assert OWN.get_sample_value("outbound_http_requests_total", {**host, "status": "200"}) is None
"""


def test_prefix() -> None:
    """The names have the program's prefix, also of what was counted before it was given."""
    _ran(PREFIX, ENABLE_METRICS="true", REDIS_URL="redis://127.0.0.1:1", METRICS_FLUSH_BUDGET_MS="1")


BOTH_WAYS = """
from django.core.signals import request_finished
from django.db import connections
from lib.kairo_metrics import Settings, install, instrument, observe

async def app(scope, receive, send): ...

observe(connections, migrations=True)
observe(connections)
instrument(app, settings=Settings(enabled=True, redis_url="redis://127.0.0.1:1"))
assert "MigrationCount" in repr(request_finished.receivers)
"""


def test_second_call_takes_nothing_back() -> None:
    """What an earlier call has asked for stays, also while metrics are still off."""
    _ran("from django.conf import settings; settings.configure()" + BOTH_WAYS)


CLASH = """
import sys
from prometheus_client import Counter, Gauge
from lib.kairo_metrics import instrument
async def app(scope, receive, send): ...
try:
    exec(sys.argv[1])
    instrument(app)
except ValueError as err:
    print(err)
instrument(app, prefix="shop_")
"""


TAKEN = [
    ('Counter("outbound_http_requests", "Theirs.")', "outbound_http_requests_total"),
    ('Gauge("outbound_http_request_duration_seconds_count", "x")', "outbound_http_request_duration_seconds"),
    ('Gauge("outbound_http_errors_created", "x")', "outbound_http_errors_total"),
    ('Gauge("django_migrations_unapplied", "x")', "django_migrations_unapplied"),
    ('Gauge("django_migrations_applied", "x")', "django_migrations_applied"),
    ('Counter("django_query_errors", "x")', "django_query_errors_total"),
    ('Gauge("django_query_duration_seconds", "x")', "django_query_duration_seconds"),
    ('Counter("tenant_db_query_errors", "x")', "tenant_db_query_errors_total"),
]


@pytest.mark.parametrize(("taken", "name"), variants(TAKEN, TAKEN[:4]))
@pytest.mark.parametrize("enabled", variants(["true", "false"], ["true"]))
def test_taken_names(taken: str, name: str, enabled: str) -> None:
    """A metric of the program with one of these names is an error of `instrument`; a prefix makes room for both."""
    environment = {**os.environ, "ENABLE_METRICS": enabled, "REDIS_URL": "redis://127.0.0.1:1"}
    command = [sys.executable, "-c", CLASH, taken]
    ran = subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith(f"the name {name} is taken: ")


@pytest.mark.long
def test_type_checkers_keep_the_type() -> None:
    """`observe` returns what it got, for a type checker as well."""
    import httpx

    from lib.kairo_metrics import observe

    with httpx.Client() as client:
        same: httpx.Client = observe(client)
    assert same is client
    with pytest.raises(TypeError):
        observe(cast("Any", 1))
