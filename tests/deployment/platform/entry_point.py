"""The functions of the project with every entry point, and the requests that they take."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from lib.kairo_metrics.store.redis_store import RedisStore
from tests.support.instance import samples, settings

__all__ = ["ANSWER", "ENTRY_POINTS", "EntryPoint", "requests_by_outcome", "stored"]

# The body of every answer.
ANSWER = "one two three"
_LABELS = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """A function, and the paths of its requests.

    Args:
        function: its name.
        answer: the path of a request that is answered in the way `{kind}` with `{status}`.
        broken: the path of a request that raises LookupError.
        answer_route: the route of `answer`.
        broken_route: the route of `broken`.
        kinds: whole and sized-stream have a Content-Length, unsized and stream have none; endless-stream never ends.
        answers_errors: whether the framework answers with 500 when the app raises; otherwise the server closes the
            connection, and the platform answers.
    """

    function: str
    answer: str
    broken: str
    answer_route: str
    broken_route: str
    kinds: tuple[str, ...] = ("whole", "unsized", "stream", "sized-stream")
    answers_errors: bool = True


def _framework(name: str, kind: str, status: str, number: str) -> EntryPoint:
    base = f"/api/{name}"
    return EntryPoint(
        f"api/{name}",
        f"{base}/answers/{{kind}}/{{status}}",
        f"{base}/broken/7",
        f"{base}/answers/{kind}/{status}",
        f"{base}/broken/{number}",
    )


ENTRY_POINTS = {
    "flask": _framework("flask_app", "<kind>", "<int:status>", "<int:number>"),
    "django": _framework("django_app", "<kind>", "<int:status>", "<int:number>"),
    "django asgi": _framework("django_asgi", "<kind>", "<int:status>", "<int:number>"),
    "fastapi": _framework("shop", "{kind}", "{status}", "{number}"),
    "handler class": EntryPoint(
        "api/hello",
        "/api/hello?kind={kind}&status={status}",
        "/api/hello?broken=7",
        "/api/hello",
        "/api/hello",
        answers_errors=False,
    ),
    "wsgi": EntryPoint(
        "api/plain",
        "/api/plain/answers-{kind}/{status}",
        "/api/plain/broken/7",
        "__unmatched__",
        "__unmatched__",
        ("whole", "unsized", "stream", "sized-stream", "written"),
        answers_errors=False,
    ),
}


async def stored(redis_url: str, prefix: str) -> dict[str, float]:
    """Return the samples that are in Redis at this moment and are not zero."""
    store = RedisStore(settings(redis_url, namespace="production"))
    try:
        return {name: value for name, value in (await samples(store, prefix)).items() if value}
    finally:
        await store.aclose()


def requests_by_outcome(found: dict[str, float]) -> Counter[tuple[str, str]]:
    """Sum `http_requests_total` over the routes: method, status."""
    sums: Counter[tuple[str, str]] = Counter()
    for sample, value in found.items():
        labels = dict(_LABELS.findall(sample))
        sums[labels["method"], labels["status"]] += int(value)
    return sums
