"""What is counted of the requests of one app that has chosen nothing: all of them, in the same way."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ..frameworks.facts import RequestFacts
from ..model.made_late import made_late
from .http_record import HTTPRecord

if TYPE_CHECKING:
    from .request_counts import RequestCounts

__all__ = ["RequestRules"]

_Record = Callable[[str, RequestFacts, Callable[[], str]], HTTPRecord]


class RequestRules:
    """The rules of one app, made ready once; see `ChosenRules` for those of an app that has chosen something.

    Attributes:
        record: returns the record of a request that begins now; for the arguments see `HTTPRecord`.
        are_plain: whether nothing is chosen that a request has to do with.
        need_response_headers: whether the headers of the response are needed.
    """

    are_plain = True
    need_response_headers = False

    def __init__(self) -> None:
        self.record: _Record = partial(HTTPRecord, self)

    @made_late
    def counts(self) -> RequestCounts:
        """What counts the requests; made once the first response has left."""
        from .request_counts import RequestCounts

        return RequestCounts()

    def give_way_to(self, first: RequestRules) -> None:
        """Let the rules of an earlier call of `instrument` for the same app stay."""

    def skip_websocket(self, _scope: MutableMapping[str, Any]) -> bool:
        """Return whether a websocket is not counted."""
        return False
