"""What is counted of one HTTP request to an app that has chosen something."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ..frameworks.facts import RequestFacts
from ..instruments.asked_shape import options_with
from .body_sizes import BodySizes, content_length_of
from .chosen_rules import ChosenRules
from .exchange import MeasuredRequest, MeasuredResponse
from .http_record import UNKNOWN, HTTPRecord, status_text
from .request_rules import RequestRules

if TYPE_CHECKING:
    from ..config.options import RequestOptions
    from ..config.settings import Settings

__all__ = ["ChosenRecord", "rules_with"]

_NO_LABELS: Mapping[str, str] = {}


def rules_with(options: RequestOptions | None, settings: Settings) -> RequestRules:
    """Return the rules of an app, which make such records if it has chosen anything that a request has to do with.

    Args:
        options: those of its call of `instrument`; None if it has none.
        settings: their options count where the call does not choose.
    """
    rules = ChosenRules(options_with(options, settings.options), settings.max_label_values)
    if not rules.are_plain:
        rules.record = partial(ChosenRecord, rules)
    return rules


class ChosenRecord(HTTPRecord):
    """One request, counted as its app has chosen, or not at all.

    Args:
        rules: what is counted of it.
        method: the request's method.
        facts: what the framework tells of the request.
        route: returns the template of the request's route.
    """

    __slots__ = ("_chosen", "_facts", "_is_skipped", "_labels", "_request", "_response_headers", "sizes")

    def __init__(self, rules: ChosenRules, method: str, facts: RequestFacts, route: Callable[[], str]) -> None:
        super().__init__(rules, method, facts, route)
        self._chosen = rules
        self._is_skipped = False
        self._request: MeasuredRequest | None = None
        self._response_headers: Iterable[tuple[Any, Any]] = ()
        self._labels: Mapping[str, str] = _NO_LABELS
        # The values of all labels, by what they are.
        self._facts: dict[str, str] = {}
        self.sizes = None

    def begin(self, request: MeasuredRequest, *paths: str) -> None:
        """Do what the rules ask for when a request begins.

        Args:
            request: the request.
            paths: its path, with and without the prefix under which the server has the app.
        """
        rules = self._chosen
        if rules.skip(request.method, *paths):
            self._is_skipped = True
            return
        self._request = request
        if rules.labels is not None:
            self._labels = rules.labels.of_request(request)
        if rules.preset is not None:
            self.facts.told = {}
        if rules.count_sizes:
            self.sizes = BodySizes(content_length_of(request.headers.items()))
        for child in rules.in_progress:
            child({"method": self._method, **self._labels}).inc()

    def begin_response(self, status: int, headers: Iterable[tuple[Any, Any]] = ()) -> None:
        """Note the status and the headers."""
        super().begin_response(status)
        self._note_headers(headers)

    def add_header(self, name: str, value: str) -> None:
        """Note one more header of the response."""
        self._note_headers([*self._response_headers, (name, value)])

    def _note_headers(self, headers: Iterable[tuple[Any, Any]]) -> None:
        self._response_headers = headers
        if self.sizes is not None:
            self.sizes.begin_response(headers)

    def _count(self, status: int, seconds: float) -> None:
        if self._is_skipped:
            return
        rules = self._chosen
        facts = self._facts = {"method": self._method, "route": self._route(), "status": status_text(status)}
        self._is_skipped = not self._choose(facts, status)
        if self._is_skipped:
            return
        for child in rules.requests:
            child(facts).inc()
        for child in rules.seconds:
            child(facts).observe(seconds)
        for what, child in rules.lengths:
            child(facts).observe(float(facts.get(f"@{what}", 0)))
        if self.sizes is not None:
            for child in rules.request_bytes:
                child(facts).observe(self.sizes.of_request(client_left=self.client_left))
            for child in rules.response_bytes:
                child(facts).observe(self.sizes.of_response(self._method, status, client_left=self.client_left))
        facts["type"] = "http_500"
        for child in rules.errors:
            child(facts)

    def _choose(self, facts: dict[str, str], status: int) -> bool:
        """Bring what the app has chosen into the facts, and return whether the request is counted."""
        rules = self._chosen
        for child in rules.in_progress:
            child({"method": self._method, **self._labels}).dec()
        facts["route"] = rules.counted_route(facts["route"], status)
        if rules.skip_answered(facts["route"], status):
            return False
        if rules.group_status and facts["status"] != UNKNOWN:
            facts["status"] = f"{facts['status'][0]}xx"
        facts.update(self._labels)
        if self._request is not None and rules.labels is not None and rules.labels.need_response:
            self._request.route = facts["route"]
            facts.update(rules.labels.of_response(self._request, MeasuredResponse(status, self._response_headers)))
        if self._request is not None and rules.preset is not None:
            from .preset_facts import add_preset_facts  # few programs come from another library

            add_preset_facts(facts, rules.preset, self._request, self._response_headers, self.facts.told)
        return True

    def _count_error(self, kind: str) -> None:
        if not self._is_skipped:
            self._facts["type"] = kind
            for child in self._chosen.errors:
                child(self._facts).inc()
