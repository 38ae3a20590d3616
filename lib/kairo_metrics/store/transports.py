"""What a command flow is run on. A flush does not import it: it serves type checkers and the `Store` protocol."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["AsyncTransport", "SyncTransport"]

Command = tuple[str | bytes | int, ...]


class AsyncTransport(Protocol):
    """Sends the commands of one task."""

    @property
    def sent(self) -> int:
        """How many commands it has begun to send; after a cancelled call this tells whether the server may have one."""

    async def call(self, *commands: Command) -> list[Any]:
        """Send the commands in one round trip and return the replies; an error reply is returned, not raised."""


class SyncTransport(Protocol):
    """Sends the commands of one thread."""

    def call(self, *commands: Command) -> list[Any]:
        """Send the commands in one round trip and return the replies; an error reply is returned, not raised."""
