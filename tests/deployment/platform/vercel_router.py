"""Routes a path through the routes of a build to the function that answers it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import dropwhile, takewhile
from typing import Any

from tests.deployment.platform.vercel_build import Build

__all__ = ["Destination", "route"]


@dataclass(frozen=True, slots=True)
class Destination:
    """The result of routing a path.

    Args:
        function: the name of the function; empty if the platform answers itself.
        status: the status of the platform's response, 200 for a published file.
        headers: the headers that the platform adds to every response.
    """

    function: str = ""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


def route(build: Build, path: str) -> Destination:
    """Route a path as the platform does: headers, then functions and files, then rewrites.

    A rewrite does not change the path that the function gets.
    """
    before = list(takewhile(lambda rule: "handle" not in rule, build.routes))
    after = [*_phase(build, "filesystem"), *_phase(build, "rewrite")]
    headers = tuple(
        (name, value) for rule in before if re.search(rule["src"], path) for name, value in rule["headers"].items()
    )
    if found := _entry(build, path, headers):
        return found
    for rule in after:
        if not re.search(rule["src"], path):
            continue
        if "status" in rule:
            return Destination(status=rule["status"], headers=headers)
        if found := _entry(build, rule["dest"].partition("?")[0], headers):
            return found
    return Destination(status=404, headers=headers)


def _phase(build: Build, name: str) -> Iterator[Mapping[str, Any]]:
    """Yield the rules from the one that begins a phase to the next phase."""
    rest = dropwhile(lambda rule: rule.get("handle") != name, build.routes)
    next(rest, None)
    yield from takewhile(lambda rule: "handle" not in rule, rest)


def _entry(build: Build, path: str, headers: tuple[tuple[str, str], ...]) -> Destination | None:
    name = path.removeprefix("/")
    if name in build.functions:
        return Destination(name, headers=headers)
    return Destination(headers=headers) if name in build.static else None
