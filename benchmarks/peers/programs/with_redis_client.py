"""prometheus-redis-client: a script for each increment."""

import redis
from prometheus_redis_client import REGISTRY, Counter, Histogram
from turns import BUCKETS, ERROR, ROUTE, URL, take_turns

REGISTRY.set_redis(redis.from_url(URL))
requests = Counter("peer_requests", "Requests.", ["route"])
seconds = Histogram("peer_seconds", "Seconds.", ["route"], buckets=list(BUCKETS))
errors = Counter("peer_errors", "Errors.", ["type"])


def request():
    requests.labels(route=ROUTE).inc()
    seconds.labels(route=ROUTE).observe(0.25)
    errors.labels(type=ERROR).inc()


take_turns(request, REGISTRY.output)
