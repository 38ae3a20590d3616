"""What is counted of the requests of one app that has chosen something, or whose process has further labels."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from ..frameworks.facts import UNMATCHED
from ..instruments.catalogue import catalogue
from ..instruments.chosen_instruments import InProgressInstruments, SizeInstruments
from ..instruments.request_children import Child, children_that_count
from ..instruments.request_instruments import RequestInstruments
from ..instruments.shape import shape
from .request_rules import RequestRules

if TYPE_CHECKING:
    from ..config.options import RequestOptions
    from ..instruments.presets import Preset
    from .custom_labels import CustomLabels
    from .skipped import Matcher, Statuses

__all__ = ["ChosenRules"]

_log = logging.getLogger("kairo_metrics")
# What presets count: the lengths in the headers, and that of the body of Django's response.
_LENGTHS = ("request_length", "response_length", "body_length")


class ChosenRules(RequestRules):
    """The rules of one app, made ready once, so that a request does no work for what is not chosen.

    Args:
        options: what the app has chosen; None if nothing.
        most_label_values: of each further label.

    Attributes:
        are_plain: whether nothing is chosen that a request has to do with; buckets are the histogram's.
    """

    def __init__(self, options: RequestOptions | None, most_label_values: int) -> None:
        super().__init__()
        group = catalogue(RequestInstruments)
        self.requests, self.seconds, self.errors = (
            children_that_count(group, what) for what in ("requests", "seconds", "errors")
        )
        self.in_progress: tuple[Child, ...] = ()
        self.request_bytes: tuple[Child, ...] = ()
        self.response_bytes: tuple[Child, ...] = ()
        self.skipped_paths: Matcher | None = None
        self.skipped_methods: Matcher | None = None
        self.statuses: Statuses | None = None
        self.labels: CustomLabels | None = None
        self.group_status = False
        self.options = options
        self.preset: Preset | None = None
        self.lengths: list[tuple[str, Child]] = []
        names = shape().labels or ()
        if options is not None:
            self._choose(options)
        if names:
            from .custom_labels import CustomLabels

            self.labels = CustomLabels(names, (options and options.labels) or {}, most_label_values)
        chosen = (self.skipped_paths, self.skipped_methods, self.statuses, self.labels, self.group_status)
        self.are_plain = not any((*chosen, self.in_progress, self.count_sizes, self.preset))
        needed_by_labels = self.labels is not None and self.labels.need_response
        self.need_response_headers = self.count_sizes or bool(self.lengths) or needed_by_labels

    def _choose(self, options: RequestOptions) -> None:
        if options.skip_paths or options.skip_methods or options.status_codes:
            from .skipped import Matcher, Statuses

            self.skipped_paths = Matcher(options.skip_paths) if options.skip_paths else None
            self.skipped_methods = Matcher(options.skip_methods) if options.skip_methods else None
            self.statuses = Statuses(options.status_codes) if options.status_codes else None
        self.group_status = bool(options.group_status)
        if options.in_progress:
            self.in_progress = children_that_count(catalogue(InProgressInstruments), "in_progress")
        if options.sizes:
            sizes = catalogue(SizeInstruments)
            self.request_bytes = children_that_count(sizes, "request_bytes")
            self.response_bytes = children_that_count(sizes, "response_bytes")
        if options.names:
            from ..instruments.chosen_preset import preset_of  # few programs come from another library

            self.preset = preset_of(options.names)
            groups = [catalogue(RequestInstruments), *([catalogue(SizeInstruments)] if options.sizes else [])]
            self.lengths = [
                (what, child) for group in groups for what in _LENGTHS for child in children_that_count(group, what)
            ]

    def give_way_to(self, first: RequestRules) -> None:
        """Let the rules of an earlier call of `instrument` for the same app stay; log it if it has chosen otherwise."""
        first_options = first.options if isinstance(first, ChosenRules) else None
        if self.options is not None and self.options != first_options:
            _log.warning("an app is instrumented twice, the second time with other options; the first ones stay")

    @property
    def count_sizes(self) -> bool:
        """Whether the bytes of bodies are counted."""
        return bool(self.request_bytes or self.response_bytes)

    def skip(self, method: str, *paths: str) -> bool:
        """Return whether a request is not counted, as far as its begin tells.

        Args:
            method: of the request.
            paths: the path, with and without the prefix under which the server has the app.
        """
        return (self.skipped_methods is not None and self.skipped_methods(method)) or (
            self.skipped_paths is not None and any(map(self.skipped_paths, paths))
        )

    def counted_route(self, route: str, status: int) -> str:
        """Return the route under which a request is counted: other names may not give one to each status."""
        return UNMATCHED if self.preset is not None and status in self.preset.unmatched_statuses else route

    def skip_websocket(self, scope: MutableMapping[str, Any]) -> bool:
        """Return whether a websocket is not counted; see `skip`."""
        from .asgi_request import paths_of  # no other interface has websockets

        return self.skipped_paths is not None and any(map(self.skipped_paths, paths_of(scope)))

    def skip_answered(self, route: str, status: int) -> bool:
        """Return whether a request is not counted because of its route or its status."""
        return (self.skipped_paths is not None and self.skipped_paths.matches_route(route)) or (
            self.statuses is not None and not self.statuses(status)
        )
