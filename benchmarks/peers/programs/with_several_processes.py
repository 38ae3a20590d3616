"""prometheus_client's multiprocess mode: each process has files in one folder; there is no network."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from turns import BUCKETS, ERROR, ROUTE, take_turns

requests = Counter("peer_requests", "Requests.", ["route"])
seconds = Histogram("peer_seconds", "Seconds.", ["route"], buckets=BUCKETS)
errors = Counter("peer_errors", "Errors.", ["type"])


def request():
    requests.labels(ROUTE).inc()
    seconds.labels(ROUTE).observe(0.25)
    errors.labels(ERROR).inc()


def page():
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry).decode()


take_turns(request, page)
