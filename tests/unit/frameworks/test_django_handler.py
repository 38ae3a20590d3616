"""Routes and exceptions of Django, for WSGI and ASGI."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.django_project import django_asgi, django_wsgi
from tests.support.route_probe import ASGIProbe, Asked, WSGIProbe, ask


@pytest.fixture(params=["wsgi", "asgi"])
def probe(request: pytest.FixtureRequest) -> Any:
    return WSGIProbe(django_wsgi()) if request.param == "wsgi" else ASGIProbe(django_asgi())


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", Asked(200, "/")),
        ("/async/3/", Asked(200, "/async/<int:item>/")),
        ("/items/three/", Asked(404, "__unmatched__")),
        ("/missing/3/", Asked(404, "/missing/<int:item>/", "Http404")),
        ("/api/old/2019/", Asked(200, "/api/old/<year>/")),
        ("/files/a-b.txt", Asked(200, "/files/<name>.txt")),
        ("/en/shop/tea/", Asked(200, "/en/shop/<slug:name>/")),
        ("/fr/shop/tea/", Asked(200, "/fr/shop/<slug:name>/")),
        ("/de/shop/tea/", Asked(404, "__unmatched__")),
    ],
)
async def test_patterns(probe: Any, path: str, expected: Asked) -> None:
    """Included patterns, regular expressions and language prefixes are shown as paths."""
    assert await ask(probe, path) == expected


async def test_middleware_may_answer(probe: Any) -> None:
    """What Django's middleware answers before the URL is resolved has a route; an exception there is known."""
    assert await ask(probe, "/items/3/", headers={"X-Reject": "1"}) == Asked(401, "/items/<int:item>/")
    assert await ask(probe, "/items/3/", headers={"X-Break": "1"}) == Asked(500, "/items/<int:item>/", "BufferError")
    assert await ask(probe, "/nothing", headers={"X-Reject": "1"}) == Asked(401, "__unmatched__")


@pytest.mark.parametrize("language", ["fr", "en"])
async def test_middleware_may_answer_below_a_language_prefix(probe: Any, language: str) -> None:
    """An answer from before the language was chosen has the route of its path, whatever the last request's language."""
    path = f"/{language}/shop/tea/"
    assert await ask(probe, path, headers={"X-Reject": "1"}) == Asked(401, f"/{language}/shop/<slug:name>/")
