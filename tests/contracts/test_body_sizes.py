"""The option `sizes` of `instrument`, one contract for every entry point that answers HTTP requests."""

from __future__ import annotations

import pytest

from tests.support.entry_points import APPS, Act, EntryPoint
from tests.support.recording import Recording

pytestmark = pytest.mark.usefixtures("fresh_catalogue", "recording")

SUMS = ("http_request_size_bytes_sum", "http_response_size_bytes_sum")


@pytest.fixture(params=APPS)
def app(request: pytest.FixtureRequest) -> EntryPoint:
    """Return each entry point that answers HTTP requests in turn."""
    return APPS[request.param]


def _length(body: bytes) -> tuple[tuple[str, str], ...]:
    return (("Content-Length", str(len(body))),)


@pytest.mark.parametrize("announced", [True, False], ids=["with a length", "without"])
async def test_bytes_are_counted(app: EntryPoint, recording: Recording, announced: bool) -> None:
    """Bodies are counted in bytes, with the length in the headers or without it: as chunks and streams."""
    headers = _length(b"question") if announced else ()
    target = app.measure(app.build(Act(parts=(b"an", b"swer"), reads=True)), sizes=True)
    got = await app.call(target, "POST", headers=headers, body=b"question")
    assert got.body == b"answer"
    assert [await recording.only(name) for name in SUMS] == [8, 6]


async def test_a_body_that_is_not_read_has_the_length_of_its_header(app: EntryPoint, recording: Recording) -> None:
    """An app need not read a request's body; its size is what the client says."""
    target = app.measure(app.build(Act()), sizes=True)
    await app.call(target, "POST", headers=_length(b"question"), body=b"question")
    assert [await recording.only(name) for name in SUMS] == [8, 5]


@pytest.mark.parametrize("length", ["-1", "x", "", "1e3", "٣", "9" * 18, "9" * 400])
async def test_a_client_cannot_spoil_the_sizes(app: EntryPoint, recording: Recording, length: str) -> None:
    """A length that is none, or absurd, is not believed."""
    await app.call(app.measure(app.build(Act()), sizes=True), "POST", headers=[("Content-Length", length)])
    assert await recording.only(SUMS[0]) == 0


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_a_response_without_a_body_has_no_bytes(
    app: EntryPoint, recording: Recording, method: str, status: int
) -> None:
    """A response to HEAD has no body, whatever its headers say and the app sends; nor has a 204 or 304."""
    target = app.measure(app.build(Act(status=status, headers=_length(b"hello"))), sizes=True)
    await app.call(target, method)
    assert await recording.only(SUMS[1]) == 0


async def test_a_stream_that_breaks_off_has_the_bytes_that_were_sent(app: EntryPoint, recording: Recording) -> None:
    """What was sent before an exception counts."""
    broken = Act(parts=(b"abc", b"def"), error=LookupError(), error_after=1)
    with pytest.raises(LookupError):
        await app.call(app.measure(app.build(broken), sizes=True))
    assert await recording.only(SUMS[1]) == 3
