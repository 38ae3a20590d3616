"""Validation: turns what a client sent into checked values, or into an error that names the fault.

Pure functions, without HTTP frameworks and databases.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import BadRequest, InvalidField

__all__ = ["Content", "is_slug", "new_entry", "page_limit", "page_start", "replacement", "tenant"]

_MAX_SLUG_LENGTH = 100
_MAX_TITLE_LENGTH = 200
_MAX_BODY_LENGTH = 100_000
_MAX_PAGE_LIMIT = 100
_DEFAULT_PAGE_LIMIT = 50

_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]*")
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
# PostgreSQL can't store NUL, and half of a surrogate pair has no UTF-8 form; JSON can hold both.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Content:
    """The parts of an entry that a tenant writes."""

    title: str
    body: str


def tenant(headers: Sequence[str]) -> str:
    """Return the tenant that the `X-Tenant` headers name.

    Raises:
        BadRequest: the header is missing, malformed, or there is more than one.
    """
    if len(headers) != 1 or not _TENANT.fullmatch(headers[0]):
        raise BadRequest(
            "Header 'X-Tenant' must name one tenant: 1 to 63 letters, digits, '_' and '-', the first a letter or digit."
        )
    return headers[0]


def is_slug(text: str) -> bool:
    """Tell whether `text` is a valid slug."""
    return len(text) <= _MAX_SLUG_LENGTH and _SLUG.fullmatch(text) is not None


def page_limit(text: str | None) -> int:
    """Return the most entries of a page.

    Raises:
        BadRequest: `text` is not a whole number from 1 to 100.
    """
    if text is None:
        return _DEFAULT_PAGE_LIMIT
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= _MAX_PAGE_LIMIT:
        raise BadRequest(f"Query parameter 'limit' must be a whole number from 1 to {_MAX_PAGE_LIMIT}.")
    return int(text)


def page_start(text: str | None) -> str | None:
    """Return the slug after which the page starts.

    Raises:
        BadRequest: `text` is not a slug.
    """
    if text is not None and not is_slug(text):
        raise BadRequest("Query parameter 'after' must be a slug; use 'next' from the page before.")
    return text


def new_entry(raw: bytes) -> tuple[str, Content]:
    """Return the slug and the content of a new entry.

    Raises:
        BadRequest: `raw` is not a JSON object.
        InvalidField: a field is missing, unknown or invalid.
    """
    fields = _fields(raw)
    slug = _text(fields, "slug", _MAX_SLUG_LENGTH)
    if not is_slug(slug):
        raise InvalidField("Field 'slug' may hold a-z, 0-9, '.', '_' and '-', and must begin with a letter or a digit.")
    return slug, _content(fields)


def replacement(raw: bytes, slug: str) -> Content:
    """Return the new content of the entry `slug`.

    Raises:
        BadRequest: `raw` is not a JSON object.
        InvalidField: a field is missing, unknown or invalid, or holds another slug.
    """
    fields = _fields(raw)
    if fields.get("slug", slug) != slug:
        raise InvalidField("Field 'slug' must equal the slug in the path, or be left out: an entry keeps its slug.")
    return _content(fields)


def _fields(raw: bytes) -> Mapping[str, Any]:
    try:
        fields = json.loads(raw)
    except (ValueError, RecursionError) as err:
        # RecursionError: a body of many "[" exhausts the parser's stack.
        raise BadRequest('The body is not valid JSON; send an object such as {"title": "..."}.') from err
    if not isinstance(fields, dict):
        raise BadRequest('The body must be a JSON object, such as {"title": "..."}.')
    for name in fields:
        if name not in {"slug", "title", "body"}:
            raise InvalidField(f"Field {name!r:.80} is unknown; an entry has 'slug', 'title' and 'body'.")
    return fields


def _content(fields: Mapping[str, Any]) -> Content:
    title = _text(fields, "title", _MAX_TITLE_LENGTH)
    if not title.strip():
        raise InvalidField("Field 'title' must not be blank.")
    return Content(title=title, body=_text(fields, "body", _MAX_BODY_LENGTH))


def _text(fields: Mapping[str, Any], name: str, max_length: int) -> str:
    if name not in fields:
        raise InvalidField(f"Field '{name}' is missing; send a string of at most {max_length} characters.")
    value = fields[name]
    if not isinstance(value, str) or len(value) > max_length:
        raise InvalidField(f"Field '{name}' must be a string of at most {max_length} characters.")
    if unstorable := _UNSTORABLE.search(value):
        raise InvalidField(f"Field '{name}' holds the character U+{ord(unstorable[0]):04X}; remove it.")
    return value
