"""The `rewrites` and `headers` of `vercel.json`, as Vercel's router reads them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import HostingError

__all__ = ["Header", "Rewrite", "VercelJson"]

# A segment parameter, a regular expression in parentheses (which may hold one more level of them), or plain text.
# Vercel's other forms (`:name?`, `:name(regex)`, `{...}`) are refused: read as text, they would route wrongly.
_TOKEN = re.compile(
    r"(?P<many>/:[A-Za-z0-9_]+[*+](?=/|$))"
    r"|(?P<one>:[A-Za-z0-9_]+(?![A-Za-z0-9_*+?(]))"
    r"|(?P<regex>\((?!\?)(?:[^()\\]|\\.|\((?:[^()\\]|\\.)*\))+\)(?![*+?]))"
    r"|(?P<text>[A-Za-z0-9_.~%@,!$&'=-]+|/)"
)


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A path pattern, and the path of the function that serves it."""

    source: str
    pattern: re.Pattern[str]
    destination: str


@dataclass(frozen=True, slots=True)
class Header:
    """A path pattern, and a header that responses for matching paths carry."""

    pattern: re.Pattern[str]
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class VercelJson:
    """The routing part of a `vercel.json`; the rest of the file matters only for a deployment.

    Example:
        >>> vercel = VercelJson.parse('{"rewrites": [{"source": "/m/:rest*", "destination": "/api/metrics"}]}')
        >>> vercel.destination("/m/a/b")
        '/api/metrics'
    """

    rewrites: tuple[Rewrite, ...] = ()
    headers: tuple[Header, ...] = ()

    @classmethod
    def read(cls, path: Path) -> VercelJson:
        """Read the file at `path`; no file means no rules.

        Raises:
            HostingError: it is not a JSON object, or a rule has a form that is not supported.
        """
        return cls.parse(path.read_text(encoding="utf-8")) if path.exists() else cls()

    @classmethod
    def parse(cls, text: str) -> VercelJson:
        """Parse the text of a `vercel.json`.

        Raises:
            HostingError: as `read`.
        """
        try:
            document = json.loads(text)
            rewrites = [_rewrite(rule) for rule in document.get("rewrites", [])]
            headers = [header for rule in document.get("headers", []) for header in _headers(rule)]
        except (ValueError, AttributeError, KeyError, TypeError) as err:
            raise HostingError(f"vercel.json can't be read: {err!r}") from err
        return cls(tuple(rewrites), tuple(headers))

    def destination(self, path: str) -> str | None:
        """Return the destination of the first rewrite that matches `path`, or None."""
        return next((rule.destination for rule in self.rewrites if rule.pattern.fullmatch(path)), None)

    def headers_for(self, path: str) -> list[tuple[str, str]]:
        """Return name and value of every header that a response for `path` carries."""
        return [(rule.name, rule.value) for rule in self.headers if rule.pattern.fullmatch(path)]


def _rewrite(rule: dict[str, Any]) -> Rewrite:
    source, destination = rule["source"], rule["destination"]
    _refuse_conditions(rule)
    # The query of a destination is ignored: the function gets the request as the client sent it.
    path = destination.partition("?")[0]
    if not re.fullmatch(r"/[^:()]*", path):
        raise HostingError(f"vercel.json: the destination {destination!r} of {source!r} must be the path of a function")
    return Rewrite(source, _compile(source), path)


def _headers(rule: dict[str, Any]) -> list[Header]:
    _refuse_conditions(rule)
    pattern = _compile(rule["source"])
    return [Header(pattern, header["key"], header["value"]) for header in rule["headers"]]


def _refuse_conditions(rule: dict[str, Any]) -> None:
    for condition in ("has", "missing"):
        if condition in rule:
            raise HostingError(f"vercel.json: {condition!r} is not supported (rule for {rule['source']!r})")


def _compile(source: str) -> re.Pattern[str]:
    expression, position = "", 0
    while position < len(source):
        token = _TOKEN.match(source, position)
        if token is None:
            raise HostingError(
                f"vercel.json: the source {source!r} is not supported from {source[position:]!r} on; "
                "use plain paths, :name, :name*, :name+ and (regex)"
            )
        expression += _expression(token)
        position = token.end()
    try:
        return re.compile(expression)
    except re.error as err:
        raise HostingError(f"vercel.json: the source {source!r} has a bad regular expression: {err}") from err


def _expression(token: re.Match[str]) -> str:
    text = token.group()
    if token["many"]:
        segments = "/[^/]+(?:/[^/]+)*"
        return f"(?:{segments})?" if text.endswith("*") else segments
    if token["one"]:
        return "[^/]+"
    if token["regex"]:
        return f"(?:{text[1:-1]})"
    return re.escape(text)
