"""The tokens that the metrics endpoint accepts: those of the settings, or those that a token source holds now."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import traceback
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress

from ..errors import TokenSourceError
from ..instruments.catalogue import catalogue
from ..instruments.delivery_instruments import DeliveryInstruments
from ..model.moment import CLOCKS, Clocks, Moment
from .bearer_auth import BearerAuth, is_bearer
from .token_sources import TokenSource

__all__ = ["TokenCache"]

_log = logging.getLogger("kairo_metrics")
# The source is read at most once in this time, however many wrong tokens are presented.
_PAUSE_S = 30.0
# A token that was withdrawn is accepted for this long at most, even if its successor is never presented.
_LONGEST_TRUST_S = 300.0


class TokenCache:
    """Checks tokens, and reads their source again when it is given a token that it does not know.

    What the source returns replaces the known tokens. So does its answer that there is no token any more. If the read
    fails, the known tokens stay good: an outage of the source does not stop the scrapes.

    Args:
        tokens: accepted if there is no source.
        source: where the tokens are kept instead.
        clocks: monotonic and wall clock; the monotonic clock may stand still while an instance is frozen.

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
        self._logged_kinds: set[str] = set()
        self._process = os.getpid()
        self._guard = threading.Lock()
        self._reading: Future[None] | None = None
        self._asked: Moment | None = None
        self._answered: Moment | None = None

    async def admits(self, headers: Sequence[bytes], patience_s: float) -> bool:
        """Tell whether the request's `Authorization` headers hold one good token.

        Args:
            headers: their values.
            patience_s: seconds that the source may take, if it has to be read.

        Raises:
            TokenSourceError: no token is known, so none can be accepted.
        """
        if self._source is not None:
            if not is_bearer(headers):
                return False  # without reading the source: this request cannot hold a good token
            if not self._auth.accepts(headers) or self._is_older(self._answered, _LONGEST_TRUST_S):
                await self._refresh(self._source, patience_s)
        auth = self._auth
        if not auth.configured:
            self._warn_once()
            raise TokenSourceError(self._problem)
        return auth.accepts(headers)

    async def _refresh(self, source: TokenSource, patience_s: float) -> None:
        """Wait for a read of the source: one that runs already, or a new one if the last one is long enough ago."""
        if self._process != os.getpid():
            # The thread that reads for the parent does not exist in a forked child.
            self._process, self._guard, self._reading, self._asked = os.getpid(), threading.Lock(), None, None
        with self._guard:
            if self._reading is None and self._is_older(self._asked, _PAUSE_S):
                self._asked = Moment.read(self._clocks)
                self._reading = self._start_reading(source)
            reading = self._reading
        if reading is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await asyncio.wrap_future(reading)

    def _start_reading(self, source: TokenSource) -> Future[None] | None:
        reading: Future[None] = Future()
        reading.set_running_or_notify_cancel()  # a request that is cancelled must not cancel it for the others
        try:
            threading.Thread(target=self._read, args=(source, reading), daemon=True).start()
        except RuntimeError as err:  # the process may start no more threads
            self._learn_unexpected(err)
            return None
        return reading

    def _read(self, source: TokenSource, reading: Future[None]) -> None:
        try:
            self._learn_tokens(source.read())
        except TokenSourceError as err:
            self._learn_problem(err)
        except BaseException as err:  # noqa: BLE001 - the thread ends here, and the requests go on
            self._learn_unexpected(err)
        finally:
            with self._guard:
                self._reading = None
            reading.set_result(None)

    def _learn_tokens(self, tokens: Sequence[str]) -> None:
        self._auth, self._answered = BearerAuth(tokens), Moment.read(self._clocks)
        catalogue(DeliveryInstruments).token_reads.labels("done").inc()

    def _learn_problem(self, err: TokenSourceError) -> None:
        catalogue(DeliveryInstruments).token_reads.labels("missing" if err.final else "failed").inc()
        self._problem = str(err)
        if err.final:
            self._auth, self._answered = BearerAuth(()), Moment.read(self._clocks)
        _log.error("the metrics token could not be read, %s: %s", self._consequence, err.detail)

    def _learn_unexpected(self, err: BaseException) -> None:
        """Count an error that no source should raise, and log it once for each type.

        Its message is left out of the log: it may hold the token.
        """
        catalogue(DeliveryInstruments).token_reads.labels("failed").inc()
        self._problem = "the token could not be read"
        kind = type(err).__qualname__
        if kind not in self._logged_kinds:
            self._logged_kinds.add(kind)
            frame = traceback.extract_tb(err.__traceback__)[-1]
            place = f"{frame.name} ({frame.filename}, line {frame.lineno})"
            _log.error("the metrics token could not be read, %s: %s in %s", self._consequence, kind, place)

    @property
    def _consequence(self) -> str:
        if self._auth.configured:
            return "the last known tokens stay good"
        return "the metrics endpoint answers 503"

    def _warn_once(self) -> None:
        if self._source is None and not self._warned:
            self._warned = True
            _log.error("METRICS_AUTH_TOKEN is not set: the metrics endpoint answers 503 until it is")

    def _is_older(self, moment: Moment | None, limit_s: float) -> bool:
        """Tell whether a moment is this long ago by one of the clocks, or has never been."""
        return (
            moment is None
            or max(now - then for now, then in zip(Moment.read(self._clocks), moment, strict=True)) >= limit_s
        )
