"""What is counted of the queries of databases."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from .declaration import Declaration, Group

__all__ = ["DjangoInstruments", "QueryInstruments"]

# A bound at exactly 0.2, from which the operator counts a query as slow, and several above 1, so that a p95 of some
# seconds does not look like one second.
_QUERY_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
# Of a fact that is the same for all instances, such as a state of the database.
_LAST_SET = {"multiprocess_mode": "mostrecent"}


class QueryInstruments(Group):
    """The queries of a database, through SQLAlchemy."""

    query_duration: Histogram
    query_errors: Counter

    declared = (
        Declaration(
            Histogram,
            "tenant_db_query_duration_seconds",
            "Seconds that a database query took.",
            ("model", "operation"),
            {"buckets": _QUERY_BUCKETS},
            buckets_of="database",
        ),
        Declaration(
            Counter, "tenant_db_query_errors_total", "Database queries that failed.", ("model", "operation", "type")
        ),
    )


class DjangoInstruments(Group):
    """The queries of Django, and its migrations."""

    query_duration: Histogram
    query_errors: Counter
    migrations_applied: Gauge
    migrations_unapplied: Gauge

    declared = (
        Declaration(
            Histogram,
            "django_query_duration_seconds",
            "Seconds that a database query took.",
            ("alias", "model", "operation"),
            {"buckets": _QUERY_BUCKETS},
            buckets_of="database",
        ),
        Declaration(
            Counter, "django_query_errors_total", "Queries that failed.", ("alias", "model", "operation", "type")
        ),
        Declaration(Gauge, "django_migrations_applied", "Migrations that the database has.", ("alias",), _LAST_SET),
        Declaration(Gauge, "django_migrations_unapplied", "Migrations that it lacks.", ("alias",), _LAST_SET),
    )
