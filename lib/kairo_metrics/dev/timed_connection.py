"""A connection of the dev server, which ends when its client is silent for too long."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["LONGEST_SILENCE_S", "TimedConnection"]

LONGEST_SILENCE_S = 30.0


class TimedConnection(H11Protocol):
    """uvicorn's connection, with a limit for the head of a request and for each pause in its body.

    uvicorn has such a limit only between two requests. Of its two parsers this one limits the length of an address.
    """

    _waits_for: type[h11.IDLE | h11.SEND_BODY] | None = None
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._note_progress()

    def handle_events(self) -> None:
        """Handle what has come, and begin to wait for more of the request."""
        super().handle_events()
        self._note_progress()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        super().connection_lost(exc)
        self._stop_waiting()

    def _note_progress(self) -> None:
        state = self.conn.their_state
        if state is h11.IDLE and self._waits_for is h11.IDLE:
            return  # the whole head has one limit, so that a byte now and then does not keep the connection
        self._stop_waiting()
        if state in {h11.IDLE, h11.SEND_BODY} and not self.transport.is_closing():
            self._waits_for = state
            self._timer = self.loop.call_later(LONGEST_SILENCE_S, self._on_silence)

    def _stop_waiting(self) -> None:
        self._waits_for = None
        if self._timer is not None:
            self._timer.cancel()

    def _on_silence(self) -> None:
        if self.flow.read_paused:  # the app has not read what came, so the client can't send more
            self._stop_waiting()
            self._note_progress()
        else:
            self.transport.close()
