"""Who may read the metrics."""

from __future__ import annotations

import pytest

from lib.kairo_metrics.auth import BearerAuth


@pytest.mark.parametrize(
    "headers",
    [[b"Bearer old"], [b"Bearer new"], [b"bearer new"], [b"BEARER  new "], ["Bearer clé".encode()], [b"Bearer \x80"]],
)
def test_each_configured_token_opens(headers: list[bytes]) -> None:
    """Both tokens work while one replaces the other, and the scheme's case does not matter."""
    no_utf8 = b"\x80".decode(errors="surrogateescape")  # as the environment hands it over
    assert BearerAuth(["old", "new", "clé", no_utf8]).accepts(headers)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [b""],
        [b"Bearer"],
        [b"Bearer "],
        [b"new"],
        [b"Basic new"],
        [b"Bearer ne"],
        [b"Bearer newer"],
        [b"Bearer new,old"],
        [b"Bearer new old"],
        [b"Bearernew"],
        [b"Bearer new", b"Bearer new"],
        [b"Bearer " + b"x" * 1_000_000],
        [b"Bearer \xff\xfe"],
    ],
)
def test_nothing_else_opens(headers: list[bytes]) -> None:
    """Malformed, repeated, partial and oversized credentials are all wrong."""
    assert not BearerAuth(["old", "new"]).accepts(headers)


def test_without_a_token_nobody_gets_in() -> None:
    """No token configured is a closed door, also for an empty credential."""
    auth = BearerAuth([])
    assert not auth.configured
    assert not auth.accepts([b"Bearer "])
