"""Who may read the metrics."""

from __future__ import annotations

import hmac
from types import SimpleNamespace

import pytest

from lib.kairo_metrics.endpoints import bearer_auth as auth
from lib.kairo_metrics.endpoints.bearer_auth import BearerAuth


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
    """Without a configured token nothing is accepted, not even an empty credential."""
    auth = BearerAuth([])
    assert not auth.configured
    assert not auth.accepts([b"Bearer "])


def test_what_is_compared_does_not_depend_on_what_is_presented(monkeypatch: pytest.MonkeyPatch) -> None:
    """Right or wrong, long or short, near or far: the same digests are compared, all of them, in constant time."""
    compared: list[tuple[int, int]] = []

    def compare_digest(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(auth, "hmac", SimpleNamespace(compare_digest=compare_digest))
    door = BearerAuth(["old", "new"])
    opened = []
    for token in (b"old", b"new", b"ol", b"olx", b"", b"x" * 1_000_000, b"\xff"):
        for headers in ([b"Bearer " + token], [b"Basic " + token], [token], [b"Bearer " + token] * 2, []):
            compared.clear()
            opened.append(door.accepts(headers))
            # 32 bytes of SHA-256 on either side, for each token that is good, and no stop at the first that matches.
            assert compared == [(32, 32), (32, 32)]
    assert sum(opened) == 2
