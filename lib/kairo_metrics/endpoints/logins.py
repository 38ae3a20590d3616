"""How a request shows a receiver who sends it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..config.push_settings import PushSettings

__all__ = ["FixedLogin", "Login", "login_of"]

# A shorter secret would be found, and replaced, in ordinary words.
_SHORTEST_SECRET = 4


class Login(Protocol):
    """Adds to the headers of a request."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that an error must not repeat, the longest first."""

    def headers(self, url: str, headers: Mapping[str, str], data: bytes) -> Mapping[str, str]:
        """Return the headers that show who sends this request; it may block.

        Raises:
            ReceiverError: there is nothing to show.
        """


@dataclass(frozen=True, slots=True)
class FixedLogin:
    """The same headers for every request."""

    given: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def headers(self, url: str, headers: Mapping[str, str], data: bytes) -> Mapping[str, str]:
        """See `Login.headers`."""
        del url, headers, data
        return self.given


def login_of(settings: PushSettings) -> Login:
    """Return the login that the settings give."""
    if settings.sigv4_region:
        from .aws_signature import AwsSignature  # it needs the AWS SDK, and only Amazon's receiver asks for it

        return AwsSignature(settings)
    headers = dict(settings.otlp_headers) if settings.protocol == "otlp" else _remote_write_login(settings)
    parts = [settings.password, settings.token, *headers.values()]
    parts += [value.partition(" ")[2] for value in headers.values()]
    return FixedLogin(headers, _longest_first(parts))


def _longest_first(parts: list[str | None]) -> tuple[str, ...]:
    found = {part for part in parts if part and len(part) >= _SHORTEST_SECRET}
    return tuple(sorted(found, key=len, reverse=True))


def _remote_write_login(settings: PushSettings) -> dict[str, str]:
    if settings.token:
        return {"Authorization": f"Bearer {settings.token}"}
    if settings.username:
        pair = base64.b64encode(f"{settings.username}:{settings.password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}
    return {}
