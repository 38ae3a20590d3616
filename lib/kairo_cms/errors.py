"""What the content API refuses and what may fail it, as one tree; each class carries its HTTP status.

ContentError
├── BadRequest            400  the header, the query or the JSON itself is no good
├── EntryNotFound         404  the tenant has no entry of that slug
├── SlugTaken             409  the tenant has an entry of that slug already
├── BodyTooLarge          413  the body is longer than any entry may be
├── InvalidField          422  the JSON is fine, one of its fields is not
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
    """Base of every refusal; its text is the sentence that the client reads."""

    status: ClassVar[int] = 500


class BadRequest(ContentError):
    """The request cannot be read as one that the API knows."""

    status = 400


class EntryNotFound(ContentError):
    """The tenant has no entry of that slug, whatever other tenants have."""

    status = 404

    def __init__(self, slug: str) -> None:
        super().__init__(f"No entry has the slug {slug!r:.120}; GET /api/content lists the slugs that exist.")


class SlugTaken(ContentError):
    """The tenant has an entry of that slug already."""

    status = 409

    def __init__(self, slug: str) -> None:
        super().__init__(f"The slug {slug!r} is taken; choose another, or change the entry with PUT.")


class BodyTooLarge(ContentError):
    """The body is longer than any entry may be."""

    status = 413


class InvalidField(ContentError):
    """One field of the JSON object is missing, unknown or out of bounds."""

    status = 422


class DatabaseUnavailable(ContentError):
    """The database is unreachable, busy or wrongly configured; the text holds no secret."""

    status = 503
