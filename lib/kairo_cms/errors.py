"""The errors of the content API, as one tree; each class has its HTTP status.

ContentError
├── BadRequest            400  the header, the query or the JSON is malformed
├── EntryNotFound         404  the tenant has no entry with this slug
├── SlugTaken             409  the tenant already has an entry with this slug
├── BodyTooLarge          413  the body is too long for an entry
├── InvalidField          422  a field of the JSON is missing, unknown or invalid
└── DatabaseUnavailable   503  the database is unreachable, busy or wrongly configured
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "BadRequest",
    "BodyTooLarge",
    "ContentError",
    "DatabaseUnavailable",
    "EntryNotFound",
    "InvalidField",
    "SlugTaken",
]


class ContentError(Exception):
    """Base of every error; its text is sent to the client."""

    status: ClassVar[int] = 500


class BadRequest(ContentError):
    """The request is malformed."""

    status = 400


class EntryNotFound(ContentError):
    """The tenant has no entry with this slug, even if another tenant has one."""

    status = 404

    def __init__(self, slug: str) -> None:
        super().__init__(f"No entry has the slug {slug!r:.120}; GET /api/content lists the slugs that exist.")


class SlugTaken(ContentError):
    """The tenant already has an entry with this slug."""

    status = 409

    def __init__(self, slug: str) -> None:
        super().__init__(f"The slug {slug!r} is taken; choose another, or change the entry with PUT.")


class BodyTooLarge(ContentError):
    """The body is too long for an entry."""

    status = 413


class InvalidField(ContentError):
    """One field of the JSON object is missing, unknown or invalid."""

    status = 422


class DatabaseUnavailable(ContentError):
    """The database is unreachable, busy or wrongly configured; the text holds no secret."""

    status = 503
