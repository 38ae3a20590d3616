"""The request of a WSGI app, as the functions of labels see it."""

from __future__ import annotations

from typing import Any

import pytest

from lib.kairo_metrics import instrument
from tests.support.recording import Recording
from tests.support.wsgi_client import call_wsgi

pytestmark = pytest.mark.usefixtures("fresh_catalogue", "recording")


async def test_headers_can_be_asked_for_when_the_response_has_ended(recording: Recording) -> None:
    """A framework may have put things into the environ meanwhile; the headers are those that came."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ["framework.request"] = environ["HTTP_X_LATER"] = "put there"
        start_response("200 OK", [])
        return [b"fine"]

    def later(request: Any, _response: Any) -> str:
        return f"{request.headers.get('X-Plan')} {request.headers.get('X-Later')}"

    call_wsgi(instrument(app, labels={"plan": later}), "GET", "/", HTTP_X_PLAN="free")
    [counted] = await recording.samples("http_requests_total")
    assert 'plan="free None"' in counted
