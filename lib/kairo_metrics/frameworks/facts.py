"""What becomes known of one request while the app serves it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .hooks import unfailing

__all__ = ["MOUNT_KEY", "REQUEST_KEY", "UNMATCHED", "RequestFacts"]

# Where the facts are in an ASGI scope or a WSGI environ. Middleware may copy these; the copies share the facts.
REQUEST_KEY = "kairo_metrics.request"
# Where the templates of the mounts are that have led to this scope or environ, such as "/tenants/{tenant}".
MOUNT_KEY = "kairo_metrics.mount"
UNMATCHED = "__unmatched__"


@unfailing
def _answer(ask: Callable[[], str | None]) -> str | None:
    return ask()


class RequestFacts:
    """What the frameworks behind an app tell of one request.

    Attributes:
        route: the template of the route, with those of the mounts that the app itself has; None while it is unknown.
        error: the exception that a framework has turned into an answer. Exceptions that stand for a status, such as
            `abort(503)`, are left out. The answer may have any status: an exception may well mean a 404.
        told: what else a framework tells, by name, if anybody wants it; else None. Flask and Starlette tell
            `unhandled`: an exception that none of the app's handlers has answered. Django
            tells `view`, `called_view`, `transport`, `exception`, `template`, `charset`, `streaming` and `body_length`.
    """

    __slots__ = ("_later", "error", "is_named", "route", "told")

    def __init__(self) -> None:
        self.route: str | None = None
        self.error: BaseException | None = None
        self.told: dict[str, str] | None = None
        self._later: Callable[[], str | None] | None = None
        self.is_named = False

    def learn(self, scope: Mapping[str, Any], template: str) -> None:
        """Take what a framework has matched.

        Args:
            scope: the ASGI scope or the WSGI environ that the framework was called with.
            template: relative to the app that has matched it.
        """
        if not self.is_named:
            self._later = None
            self.route = template if template == UNMATCHED else scope.get(MOUNT_KEY, "") + template

    def learn_later(self, ask: Callable[[], str | None]) -> None:
        """Take a question to the framework, to be asked when the route is needed; None means that it is not known."""
        if not self.is_named:
            self._later = ask
            self.route = None

    def name(self, template: str) -> None:
        """Take the template that the app's own code has given; nothing else changes it afterwards."""
        self._later = None
        self.route = template
        self.is_named = True

    def settle(self) -> str | None:
        """Return the route, and drop the question: it holds the scope, which holds these facts."""
        if self._later is not None:
            ask, self._later = self._later, None
            self.route = _answer(ask)
        return self.route

    def peek(self) -> str | None:
        """Return what is known of the route now; it may still change."""
        return self.route if self._later is None else self._later()
