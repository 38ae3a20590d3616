"""Addresses of Redis."""

from __future__ import annotations

import pytest

from lib.kairo_metrics.config.redis_url import without_password


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("rediss://default:se/cr@t@example.com:6379", None),
        ("rediss://default:s@cret@example.com:6379/1?ssl_cert_reqs=none", "rediss://example.com:6379/1"),
        ("redis://localhost/0?password=secret@x", "redis://localhost/0"),
        ("unix://user:secret@/run/redis.sock?db=1", "unix:///run/redis.sock"),
        ("redis://:pa?ss@example.com/0", None),
    ],
)
def test_a_password_in_a_redis_url_is_not_shown(url: str, shown: str | None) -> None:
    """If the password can't be separated from the rest, nothing of the URL is shown."""
    assert without_password(url) == (shown or "at the address that is set (not shown)")
