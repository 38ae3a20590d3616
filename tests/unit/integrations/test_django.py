"""Queries of a real Django project with two databases, in `django_query_*`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.django_run import START, TABLES, shown
from tests.support.postgres_server import PASSWORD, PostgresServer

pytestmark = pytest.mark.slow

OBJECTS = """
ada = Customer.objects.create(name="Ada")
show()
order = Order.objects.create(customer=ada)
order.tags.add(Tag.objects.create(name="new"))
show()
Order.objects.select_related("customer").get(pk=order.pk)
show()
list(Order.objects.prefetch_related("tags"))
show()
Order.objects.filter(customer__name="Ada").update(customer=ada)
show()
Order.objects.filter(made_at__year=2001).exists()
show()
Order.objects.distinct().filter(tags__name="new")[:5].count()
show()
Order.objects.dates("made_at", "year").count()
show()
Late.objects.count()
show()
Tag.objects.bulk_create([Tag(name=str(number)) for number in range(50)])
show()
list(Tag.objects.iterator(chunk_size=10))
show()
from django.db.models import Exists, OuterRef, Subquery
list(Order.objects.annotate(x=Subquery(Tag.objects.filter(order=OuterRef("pk")).values("name")[:1])))
show()
list(Tag.objects.values("name").union(Customer.objects.values("name")))
show()
Tag.objects.all().delete()
show()
"""


def _postgres(postgres: PostgresServer) -> dict[str, Any]:
    """Give the settings of an empty database."""
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": postgres.new_database().rpartition("/")[2],
        "USER": "kairo",
        "PASSWORD": PASSWORD,
        "HOST": "127.0.0.1",
        "PORT": postgres.port,
    }


def _objects(database: dict[str, Any] | None) -> None:
    counts = shown(OBJECTS, START + TABLES, database)
    names = [{labels.removeprefix("default django_shop."): value for labels, value in each.items()} for each in counts]
    # What the database sends to begin transactions is different in each, and has no model.
    assert [{labels: value for labels, value in each.items() if "raw" not in labels} for each in names] == [
        {"Customer insert": 1},
        {"Order insert": 1, "Tag insert": 1, "Order_tags insert": 1},
        {"Order select": 1},
        {"Order select": 1, "Tag select": 1},
        {"Order update": 1},
        {"Order select": 1},
        {"Order select": 1},
        {"Order select": 1},
        {"Order select": 1},
        {"Tag insert": 1},
        {"Tag select": 1},
        {"Order select": 1},
        {"Tag select": 1},
        {"Tag select": 1, "Order_tags delete": 1, "Tag delete": 1},
    ]


def test_objects() -> None:
    """What objects, relations, subqueries, unions and bulk operations send counts under the model it works on."""
    _objects(None)


@pytest.mark.postgres
def test_objects_in_postgres(postgres: PostgresServer) -> None:
    """The same in PostgreSQL, with psycopg."""
    _objects(_postgres(postgres))


COMPOSED = """
from psycopg import sql
with connection.cursor() as cursor:
    cursor.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier("django_shop_tag")))
show()
with connection.cursor() as cursor:
    cursor.execute(b"SELECT 1")
show()
"""


@pytest.mark.postgres
def test_composed_sql(postgres: PostgresServer) -> None:
    """SQL that psycopg composes counts under the model of its table, and what has no text as raw."""
    assert shown(COMPOSED, START + TABLES, _postgres(postgres)) == [
        {"default django_shop.Tag select": 1},
        {"default raw other": 1},
    ]


OWN_SQL = """
with connection.cursor() as cursor:
    cursor.execute("SELECT 1")
    show()
    cursor.execute('SELECT COUNT(*) FROM "django_shop_order"')
    show()
    cursor.executemany("INSERT INTO django_shop_tag (name) VALUES (%s)", [["a"], ["b"], ["c"]])
    show()
    cursor.execute("/* nightly */ WITH old AS (SELECT 1 AS id) DELETE FROM django_shop_tag WHERE id IN old")
    show()
    cursor.execute("PRAGMA user_version")
    show()
list(Tag.objects.raw("SELECT * FROM django_shop_tag"))
show()
"""


def test_own_sql() -> None:
    """SQL that the program writes counts under the model of its table, else as raw; many rows are one query."""
    assert shown(OWN_SQL, START + TABLES) == [
        {"default raw select": 1},
        {"default django_shop.Order select": 1},
        {"default django_shop.Tag insert": 1},
        {"default django_shop.Tag delete": 1},
        {"default raw other": 1},
        {"default django_shop.Tag select": 1},
    ]


DATABASES_AND_THREADS = """
Tag.objects.using("reports").create(name="a")
show()

def work():
    Tag.objects.count()
    Tag.objects.using("reports").count()
    connections.close_all()

for _ in range(3):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
show()
connection.close()
Tag.objects.count()
show()
assert len(connection.execute_wrappers) == 1, connection.execute_wrappers
"""


def test_several_databases_and_threads() -> None:
    """Each connection is observed, in each thread and database, also one that is opened again."""
    assert shown(DATABASES_AND_THREADS, START + TABLES) == [
        {"reports django_shop.Tag insert": 1},
        {"default django_shop.Tag select": 3, "reports django_shop.Tag select": 3},
        {"default django_shop.Tag select": 1},
    ]


MANY_DATABASES = """
from lib.kairo_metrics.integrations import django_alias
django_alias.alias_label._limit = 2
for number in range(4):
    connections.settings[f"customer{number}"] = {**connections.settings["reports"], "NAME": ":memory:"}
    with connections[f"customer{number}"].cursor() as cursor:
        cursor.execute("SELECT 1")
show()
"""


def test_databases_without_limit() -> None:
    """A program that adds a database for each customer makes no series without limit: further ones share one."""
    assert shown(MANY_DATABASES, START + TABLES) == [
        {f"{alias} raw select": count for alias, count in [("customer0", 1), ("customer1", 1), ("__overflow__", 2)]}
    ]


FAILURES = """
errors = "django_query_errors_total"
Customer.objects.create(name="Ada")
try:
    with transaction.atomic():
        Customer.objects.create(name="Ada")
except IntegrityError as err:
    assert type(err.__cause__).__module__ == "sqlite3"
show(errors)
try:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM nowhere")
except OperationalError:
    pass
show(errors)
connections["reports"].close()
connections["reports"].settings_dict["NAME"] = "/no/such/folder/x.sqlite3"
for _ in range(2):
    try:
        Tag.objects.using("reports").count()
    except OperationalError:
        pass
show(errors)
show()
"""


def test_failures() -> None:
    """A query that fails counts with its time and by exception, a connection that can't be opened as `connect`."""
    *errors, queries = shown(FAILURES, START + TABLES)
    assert errors == [
        {"default django_shop.Customer insert IntegrityError": 1},
        {"default raw select OperationalError": 1},
        {"reports raw connect OperationalError": 2},
    ]
    assert queries == {"default django_shop.Customer insert": 2, "default raw select": 1}


OTHER_WRAPPERS = """
connections["reports"].close()
del connections["reports"]
seen = []

def theirs(execute, sql, params, many, context):
    seen.append(sql)
    return execute(sql, params, many, context)

# The connection is made inside the block.
with connections["reports"].execute_wrapper(theirs):
    Tag.objects.using("reports").count()
Tag.objects.using("reports").count()
assert len(seen) == 1 and theirs not in connections["reports"].execute_wrappers
show()
from django.test.utils import CaptureQueriesContext
with CaptureQueriesContext(connection) as captured:
    Tag.objects.count()
assert len(captured) == 1
show()
"""


def test_wrappers_of_the_program() -> None:
    """Wrappers that the program adds for a while are called, and taken away again; captured queries are the same."""
    assert shown(OTHER_WRAPPERS, START + TABLES) == [
        {"reports django_shop.Tag select": 2},
        {"default django_shop.Tag select": 1},
    ]


EARLY_THREAD = """
from queue import Queue
begun, observed, seen = Queue(), Queue(), []

def theirs(execute, sql, params, many, context):
    seen.append(sql)
    return execute(sql, params, many, context)

def work():
    made = connections["default"]  # before `observe`, and not connected yet
    begun.put(None)
    observed.get()
    with made.execute_wrapper(theirs):
        Tag.objects.count()
    Tag.objects.count()
    assert theirs not in made.execute_wrappers and len(seen) == 1
    connections.close_all()
    done.put(None)

make_tables()
done = Queue()
thread = threading.Thread(target=work)
thread.start()
begun.get()
observe(connections)
observed.put(None)
thread.join()
done.get_nowait()
show()
"""


def test_connection_of_an_earlier_thread() -> None:
    """A connection that another thread has made before is observed once it connects, whatever wraps it then."""
    assert shown(EARLY_THREAD) == [{"default django_shop.Tag select": 2}]


VIEWS = """
assert Client().get("/sync").content == b"0"
show()
async def ask():
    return (await AsyncClient().get("/async")).content
assert asyncio.run(ask()) == b"0"
show()
"""


def test_views() -> None:
    """The queries of views are counted, also of asynchronous ones, whose queries run in threads."""
    assert shown(VIEWS, START + TABLES) == [
        {"default django_shop.Order select": 1},
        {"default django_shop.Order select": 2},
    ]


TRANSACTIONS = """
with transaction.atomic():
    Tag.objects.create(name="a")
    with transaction.atomic():
        Tag.objects.create(name="b")
show()
"""


def test_transactions() -> None:
    """BEGIN and COMMIT are not counted; a savepoint is a statement without a model."""
    assert shown(TRANSACTIONS, START + TABLES) == [{"default django_shop.Tag insert": 2, "default raw other": 2}]


def test_duration() -> None:
    """The duration is the time of the execution, in seconds."""
    slow = """
connection.connection.create_function("nap", 0, lambda: __import__("time").sleep(0.05))
with connection.cursor() as cursor:
    cursor.execute("SELECT nap()")
show("django_query_duration_seconds_sum")
"""
    [sums] = shown(slow, START + TABLES)
    assert 0.05 <= sums["default raw select"] < 5
