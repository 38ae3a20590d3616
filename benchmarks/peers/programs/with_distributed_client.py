"""prometheus-distributed-client: prometheus_client's instruments, whose values are in Redis."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_distributed_client import setup
from prometheus_distributed_client.redis import Counter, Histogram
from redis import Redis
from turns import BUCKETS, ERROR, ROUTE, URL, take_turns

setup(redis=Redis.from_url(URL))
registry = CollectorRegistry()
requests = Counter("peer_requests", "Requests.", ["route"], registry=registry)
seconds = Histogram("peer_seconds", "Seconds.", ["route"], buckets=BUCKETS, registry=registry)
errors = Counter("peer_errors", "Errors.", ["type"], registry=registry)


def request():
    requests.labels(ROUTE).inc()
    seconds.labels(ROUTE).observe(0.25)
    errors.labels(ERROR).inc()


take_turns(request, lambda: generate_latest(registry).decode())
