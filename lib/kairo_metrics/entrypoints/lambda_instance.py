"""One instance of a function on AWS Lambda: its event loop, and the app's startup and shutdown in it."""

from __future__ import annotations

import asyncio
import atexit
import logging
import signal
import threading
import warnings
from weakref import WeakSet

from ..config.environment import environment
from ..errors import LifespanError
from .lifespan import Lifespan

__all__ = ["INSTANCES", "LambdaInstance", "event_loop"]

# Such instances are started before there is a request, and their init phase may take minutes.
_STARTED_EARLY = ("provisioned-concurrency", "lambda-managed-instances")
# Lambda kills an instance two seconds after the SIGTERM.
_SHUTDOWN_TIMEOUT_S = 1.8
_log = logging.getLogger("kairo_metrics")
# The event loops that were made here, and all instances, of which a process has more than one in tests.
_made: WeakSet[asyncio.AbstractEventLoop] = WeakSet()
INSTANCES: WeakSet[LambdaInstance] = WeakSet()


class LambdaInstance:
    """Keeps one event loop for all invocations, and runs the app's startup once in it.

    The startup waits for the first invocation. In the init phase it would have ten seconds at most, and with SnapStart
    the connections that it opens would be in the snapshot. Only instances that are kept ready run it in the init phase.

    Args:
        lifespan: the app's, or None if it is not run.
        is_required: whether an app that answers no lifespan event is an error.
    """

    def __init__(self, lifespan: Lifespan | None, *, is_required: bool) -> None:
        self._lifespan = lifespan
        self._is_required = is_required
        self._loop: asyncio.AbstractEventLoop | None = None
        INSTANCES.add(self)
        if environment().get("AWS_LAMBDA_INITIALIZATION_TYPE") in _STARTED_EARLY:
            try:
                self.start()
            except LifespanError as err:
                _log.error("%s", err)  # the first invocation tries it again

    @property
    def is_started(self) -> bool:
        """Whether it has an event loop."""
        return self._loop is not None and not self._loop.is_closed()

    def close(self) -> None:
        """Run the shutdown, and close the event loop if it was made here; the next invocation starts it again."""
        self._shut_down()
        atexit.unregister(self._shut_down)
        loop, self._loop = self._loop, None
        if loop is not None and loop in _made and not loop.is_running():
            loop.close()
            asyncio.set_event_loop(None)

    def start(self) -> None:
        """Run the startup, unless this was done, and make its event loop the current one.

        Raises:
            LifespanError: the startup failed; the next call tries it again.
        """
        if self._loop is not None and self.is_started:
            # What the startup has opened belongs to this loop. `asyncio.run` elsewhere takes the thread's loop away.
            asyncio.set_event_loop(self._loop)
            return
        loop = event_loop()
        if self._lifespan is not None:
            if loop.run_until_complete(self._lifespan.startup()):
                self._shut_down_at_the_end()
            elif self._is_required:
                raise LifespanError("lifespan is 'on', and the app answers no lifespan event")
        self._loop = loop

    def _shut_down_at_the_end(self) -> None:
        """Run the shutdown when Lambda ends the instance; only instances with an extension get a SIGTERM.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
        """
        atexit.register(self._shut_down)  # a process that ends by itself, such as a test of the function
        before = signal.getsignal(signal.SIGTERM)
        is_main = threading.current_thread() is threading.main_thread()
        # Elsewhere, such as in a test, SIGTERM is not ours. A handler that was not set in Python can't be set again.
        if "AWS_LAMBDA_RUNTIME_API" not in environment() or before is None or not is_main:
            return

        def shut_down(signum: int, _frame: object) -> None:
            self._shut_down()
            signal.signal(signum, before)
            signal.raise_signal(signum)

        signal.signal(signal.SIGTERM, shut_down)

    def _shut_down(self) -> None:
        loop, lifespan = self._loop, self._lifespan
        # The loop runs if a request takes longer than its time limit.
        if loop is None or lifespan is None or loop.is_closed() or loop.is_running():
            return
        try:
            loop.run_until_complete(lifespan.shutdown(_SHUTDOWN_TIMEOUT_S))
        except LifespanError as err:
            _log.error("%s", err)


def event_loop() -> asyncio.AbstractEventLoop:
    """Return the thread's event loop; if it has none that is open, make one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # Python 3.12 and 3.13 warn, and make one
            loop = asyncio.get_event_loop()
    except (RuntimeError, DeprecationWarning):
        loop = None
    if loop is None or loop.is_closed():
        loop = asyncio.new_event_loop()
        _made.add(loop)
        asyncio.set_event_loop(loop)
    return loop
