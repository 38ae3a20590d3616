"""Apps of four libraries, moved by the steps of docs/migrating.md, show the series of the originals beside them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.migrating_page import Move, moves, section
from tests.support.moved_pair import Asked, MovedPair, Series, families_of, moved_pair, series_of

pytestmark = pytest.mark.long

XHR = (("X-Requested-With", "XMLHttpRequest"),)
JSON = (("Content-Type", "application/json"),)


class Case(NamedTuple):
    """An app of the page, the requests to it, and what the page names as different.

    Args:
        heading: of the section of the page.
        number: which of the section's apps it is.
        requests: sent to both sides, one after the other.
        interface: of the app.
        app: where it is.
        expected: takes the series of the original, and returns what the moved app is to have.
    """

    heading: str
    number: int
    requests: list[Asked]
    interface: str
    app: str = "app:app"
    expected: Callable[[Series], Series] = lambda series: series


def of_flask(series: Series) -> Series:
    """Give the label `path` the URL rule, and leave out the library's own version."""
    changed: Series = {}
    for (name, labels), value in series.items():
        if name.endswith("_exporter_info"):
            continue
        found = dict(labels)
        if "_http_request_duration_seconds" in name and "path" in found:
            path = re.sub(r"^/items/\d+$", "/items/<int:item>", found["path"])
            found["path"] = "__unmatched__" if path.startswith("/nothing") else path
        key = name, frozenset(found.items())
        changed[key] = None if value is None else (changed.get(key) or 0) + value
    return changed


DJANGO = [
    Asked("/items/1/"),
    Asked("/items/1/", "POST", b"some bytes", XHR),
    Asked("/items/2/", "HEAD"),
    Asked("/items/2/", "PATCH"),
    Asked("/items/101/"),
    Asked("/nothing/1/"),
    Asked("/stored/"),
    Asked("/page/"),
    Asked("/stream/"),
    Asked("/broken/"),
]
GETS = [Asked("/items/1"), Asked("/items/2"), Asked("/items/101"), Asked("/nothing/1"), Asked("/nothing/2")]
CASES = {
    "starlette_exporter": Case(
        "From starlette_exporter",
        0,
        [
            *GETS,
            Asked("/items/3", "POST", b"some bytes"),
            Asked("/items/3", "DELETE"),
            Asked("/items/x"),
            Asked("/old"),
            Asked("/broken"),
            Asked("/items/1", "HEAD"),
        ],
        "asgi",
    ),
    "starlette_exporter with options": Case(
        "From starlette_exporter",
        1,
        [
            Asked("/hello/a"),
            Asked("/hello/b"),
            Asked("/health"),
            Asked("/static/x"),
            Asked("/hello/a", "OPTIONS"),
            Asked("/hello/a", "POST", b'{"a": "b"}', JSON),
            Asked("/hello/a", "POST", b"{", JSON),
            Asked("/nothing/1"),
        ],
        "asgi",
    ),
    "fastapi_instrumentator": Case(
        "From prometheus-fastapi-instrumentator",
        0,
        [
            *GETS,
            Asked("/items/3", "POST", b"some bytes"),
            Asked("/items/3", "PUT", b"more"),
            Asked("/items/x"),
            Asked("/unavailable"),
            Asked("/broken"),
        ],
        "asgi",
    ),
    "fastapi_instrumentator with options": Case(
        "From prometheus-fastapi-instrumentator",
        1,
        [Asked("/hello/a"), Asked("/hello/b"), Asked("/admin/x"), Asked("/nothing/1"), Asked("/hello/a", "POST")],
        "asgi",
    ),
    "flask_exporter": Case(
        "From prometheus_flask_exporter",
        0,
        [
            Asked("/"),
            Asked("/skip"),
            Asked("/by-type/a"),
            Asked("/by-type/b"),
            Asked("/long-running"),
            Asked("/status/201"),
            Asked("/status/404"),
            Asked("/items/1"),
            Asked("/items/2", "POST", b"x"),
            Asked("/items/2", "HEAD"),
            Asked("/items/2", "DELETE"),
            Asked("/items/2", "OPTIONS"),
            Asked("/nothing/1"),
            Asked("/broken"),
            Asked("/answered"),
        ],
        "wsgi",
        expected=of_flask,
    ),
    "flask_exporter with options": Case(
        "From prometheus_flask_exporter",
        1,
        [Asked("/"), Asked("/", "POST"), Asked("/health"), Asked("/late"), Asked("/nothing/1"), Asked("/static/x")],
        "wsgi",
        expected=of_flask,
    ),
    "django_prometheus": Case("From django-prometheus", 0, DJANGO, "wsgi", "wsgi:application"),
    "django_prometheus as ASGI": Case("From django-prometheus", 0, DJANGO, "asgi", "asgi:application"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_moved_app_shows_the_series_that_it_had(case: Case, tmp_path: Path, redis_url: str) -> None:
    """After each request both pages have the same names, labels, counts and buckets, but for what the page names."""
    move = moves(case.heading)[case.number]
    if case.app.startswith("asgi:"):
        move = Move(*({**side, "asgi.py": side["wsgi.py"].replace("wsgi", "asgi")} for side in move))
    with moved_pair(move, case.interface, case.app, tmp_path, redis_url) as pair:
        for asked in case.requests:
            [before, after] = pair.ask(asked)
            assert after == before, asked
            assert differences(pair, case.expected) == {}, asked
        original, moved = map(families_of, pair.pages())
        assert {name for name in original.keys() ^ moved.keys() if not name.endswith("exporter_info")} == set()
        assert {name: original[name] for name in moved} == moved


def by_endpoint(series: Series) -> dict[tuple[str, str], float]:
    """Return the number of requests by endpoint and status; a path that matches no rule has none."""
    counts: dict[tuple[str, str], float] = {}
    for (name, labels), value in series.items():
        found = dict(labels)
        if name == "flask_http_request_duration_seconds_count":
            key = found.get("endpoint", "").replace("None", ""), found["status"]
            counts[key] = counts.get(key, 0.0) + (value or 0.0)
    return counts


def test_endpoints_of_flask_have_a_label(tmp_path: Path, redis_url: str) -> None:
    """A panel that sums by `endpoint` goes on: two rules of one endpoint are one line in it."""
    move = moves("From prometheus_flask_exporter")[2]
    with moved_pair(move, "wsgi", "app:app", tmp_path, redis_url) as pair:
        for path in ("/items/1", "/items/2", "/things/1", "/nothing"):
            pair.ask(Asked(path))
        deadline_s = time.monotonic() + 5
        while True:
            original, moved = (by_endpoint(series_of(page)) for page in pair.pages())
            if original == moved or time.monotonic() > deadline_s:
                break
            time.sleep(0.05)
        assert original == moved == {("items", "200"): 3, ("", "404"): 1}


def differences(
    pair: MovedPair, expected_of: Callable[[Series], Series], within_s: float = 5.0
) -> dict[str, tuple[object, object]]:
    """Return what differs once both have counted the last request: they do so after its response."""
    deadline_s = time.monotonic() + within_s
    while True:
        original, moved = map(series_of, pair.pages())
        expected = expected_of(original)
        different: dict[str, tuple[object, object]] = {
            f"{name}{dict(labels)}": (expected.get((name, labels), "missing"), moved.get((name, labels), "missing"))
            for name, labels in expected.keys() ^ moved.keys()
            | {key for key in expected.keys() & moved.keys() if expected[key] != moved[key]}
        }
        if not different or time.monotonic() > deadline_s:
            return different
        time.sleep(0.05)


class Different(NamedTuple):
    """A request that the two sides count differently, and where docs/migrating.md says so.

    Args:
        case: the app.
        asked: the request.
        original: a series that only the original has.
        moved: the series that the moved app has in its place.
        said: what the section of the page says about it.
    """

    case: str
    asked: Asked
    original: str
    moved: str
    said: str


DIFFERENT = [
    Different(
        "django_prometheus",
        Asked("/items/1"),
        'django_http_responses_total_by_status_total{status="404"} 1',
        'django_http_responses_total_by_status_total{status="301"} 1',
        "the redirect of `CommonMiddleware` to a path with a slash is a 301",
    ),
    Different(
        "fastapi_instrumentator",
        Asked("/items/1/"),
        'http_requests_total{handler="/items/1/",method="GET",status="3xx"} 1',
        'http_requests_total{handler="none",method="GET",status="3xx"} 1',
        "so is one that only lacks or has a trailing slash",
    ),
    Different(
        "flask_exporter",
        Asked("/items/7"),
        'flask_exporter_info{version="',
        'flask_http_request_duration_seconds_count{method="GET",path="/items/<int:item>",status="200"} 1',
        "`flask_exporter_info`, the version of the library, is not carried over",
    ),
]


@pytest.mark.parametrize("different", DIFFERENT, ids=[different.case for different in DIFFERENT])
def test_what_differs_is_what_the_page_says(different: Different, tmp_path: Path, redis_url: str) -> None:
    """What a moved app does not carry over, or counts differently, is named in the section of its library."""
    case = CASES[different.case]
    assert different.said in " ".join(section(case.heading).split())
    with moved_pair(moves(case.heading)[0], case.interface, case.app, tmp_path, redis_url) as pair:
        pair.ask(different.asked)
        deadline_s = time.monotonic() + 5
        while True:
            original, moved = pair.pages()
            if (different.original in original and different.moved in moved) or time.monotonic() > deadline_s:
                break
            time.sleep(0.05)
        assert different.original in original
        assert different.original not in moved
        assert different.moved in moved
        assert different.moved not in original
