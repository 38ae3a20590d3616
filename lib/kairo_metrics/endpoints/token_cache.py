"""The tokens that open the metrics endpoint: those of the settings, or those of a place that rotates them."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress

from ..errors import TokenSourceError
from ..instruments.catalogue import catalogue
from ..model.moment import CLOCKS, Clocks, Moment, elapsed_s
from .bearer_auth import BearerAuth, is_bearer
from .token_sources import TokenSource

__all__ = ["TokenCache"]

_log = logging.getLogger("kairo_metrics")
# The source is asked once in this time at most, however many wrong tokens are presented.
_PAUSE_S = 30.0
# A token that was withdrawn opens for so long at most, even if nobody presents its successor.
_LONGEST_TRUST_S = 300.0


class TokenCache:
    """Knows which tokens are good, and asks their source again when one is presented that it does not know.

    An answer of the source replaces what was known, also the answer that there is no token any more. Without an
    answer, what was known stays good: an outage of the source does not stop the scrapes.

    Args:
        tokens: what is accepted when there is no source.
        source: where the tokens are kept instead.
        clocks: monotonic and wall clock; a frozen instance may miss time on the first.

    Example:
        >>> import asyncio
        >>> asyncio.run(TokenCache(["new", "old"]).admits([b"Bearer old"], patience_s=1))
        True
    """

    def __init__(
        self,
        tokens: Sequence[str] = (),
        source: TokenSource | None = None,
        clocks: Clocks = CLOCKS,
    ) -> None:
        self._source = source
        self._clocks = clocks
        self._auth = BearerAuth(() if source else tokens)
        self._problem = (
            "the place that keeps the token has not answered yet"
            if source
            else "no token is configured: set METRICS_AUTH_TOKEN"
        )
        self._warned = False
        self._guard = threading.Lock()
        self._reading: Future[None] | None = None
        self._asked: Moment | None = None
        self._answered: Moment | None = None

    async def admits(self, headers: Sequence[bytes], patience_s: float) -> bool:
        """Tell whether the request's `Authorization` headers hold one good token.

        Args:
            headers: their values.
            patience_s: seconds that the source may take, if it has to be asked.

        Raises:
            TokenSourceError: no token is known, so that none can be good.
        """
        if self._source is not None:
            if not is_bearer(headers):
                return False  # whatever the tokens are: strangers without one don't make us ask
            if not self._auth.accepts(headers) or self._is_older(self._answered, _LONGEST_TRUST_S):
                await self._refresh(self._source, patience_s)
        auth = self._auth
        if not auth.configured:
            self._warn_once()
            raise TokenSourceError(self._problem)
        return auth.accepts(headers)

    async def _refresh(self, source: TokenSource, patience_s: float) -> None:
        """Wait until the source has been asked: by a thread that runs already, by a new one, or not at all."""
        with self._guard:
            if self._reading is None and self._is_older(self._asked, _PAUSE_S):
                reading: Future[None] = Future()
                reading.set_running_or_notify_cancel()  # one request that gives up must not end it for the others
                threading.Thread(target=self._read, args=(source, reading), daemon=True).start()
                self._reading, self._asked = reading, Moment.read(self._clocks)
            waited_for = self._reading
        if waited_for is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await asyncio.wrap_future(waited_for)

    def _read(self, source: TokenSource, reading: Future[None]) -> None:
        try:
            tokens = source.read()
        except TokenSourceError as err:
            self._learn_problem(err)
        else:
            self._auth, self._answered = BearerAuth(tokens), Moment.read(self._clocks)
            catalogue().token_reads.labels("done").inc()
        finally:
            with self._guard:
                self._reading = None
            reading.set_result(None)

    def _learn_problem(self, err: TokenSourceError) -> None:
        catalogue().token_reads.labels("missing" if err.final else "failed").inc()
        self._problem = str(err)
        if err.final:
            self._auth, self._answered = BearerAuth(()), Moment.read(self._clocks)
        kept = "the last known tokens stay good" if self._auth.configured else "the metrics endpoint answers 503"
        _log.error("the metrics token could not be read, %s: %s", kept, err.detail)

    def _warn_once(self) -> None:
        if self._source is None and not self._warned:
            self._warned = True
            _log.error("METRICS_AUTH_TOKEN is not set: the metrics endpoint answers 503 until it is")

    def _is_older(self, moment: Moment | None, limit_s: float) -> bool:
        """Return whether the moment is at least `limit_s` ago, or None: it has not come yet."""
        return moment is None or elapsed_s(moment, Moment.read(self._clocks)) >= limit_s
