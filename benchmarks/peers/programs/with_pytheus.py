"""pytheus with its Redis backend: each number is a field of its own."""

from urllib.parse import urlsplit

from pytheus.backends import load_backend
from pytheus.backends.redis import MultiProcessRedisBackend
from pytheus.exposition import generate_metrics
from pytheus.metrics import Counter, Histogram
from turns import BUCKETS, ERROR, ROUTE, URL, take_turns

address = urlsplit(URL)
load_backend(MultiProcessRedisBackend, {"host": address.hostname, "port": address.port})
requests = Counter("peer_requests", "Requests.", required_labels=["route"])
seconds = Histogram("peer_seconds", "Seconds.", required_labels=["route"], buckets=BUCKETS)
errors = Counter("peer_errors", "Errors.", required_labels=["type"])


def request():
    requests.labels({"route": ROUTE}).inc()
    seconds.labels({"route": ROUTE}).observe(0.25)
    errors.labels({"type": ERROR}).inc()


take_turns(request, generate_metrics)
