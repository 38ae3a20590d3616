"""Entries: the table, and the repository, whose every call is limited to one tenant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, DateTime, Dialect, String, Text, TypeDecorator, and_, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from .database import Base, Database
from .errors import EntryNotFound, SlugTaken
from .validation import Content

__all__ = ["Entries", "Entry", "Page"]

T = TypeVar("T")

# Vercel limits a response to 4.5 MB. A character takes at most 6 bytes of JSON, so half a million of them leaves room
# for the rest of the page.
_MAX_PAGE_CHARACTERS = 500_000


class _UtcDateTime(TypeDecorator[datetime]):
    """A time in UTC; SQLite does not store the zone, so it is added when a value is read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.replace(tzinfo=UTC)


class Entry(Base):
    """One entry; an entry with a `published_at` is published."""

    __tablename__ = "entry"

    tenant: Mapped[str] = mapped_column(String(63), primary_key=True)
    # "C" sorts by bytes, as SQLite does, so that the order does not depend on the server's locale.
    slug: Mapped[str] = mapped_column(
        String(100).with_variant(String(100, collation="C"), "postgresql"), primary_key=True
    )
    title: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(_UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(_UtcDateTime)
    published_at: Mapped[datetime | None] = mapped_column(_UtcDateTime)


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries, sorted by slug, and the slug after which the next page starts, or None."""

    entries: Sequence[Entry]
    next: str | None


class Entries:
    """The entries of all tenants in one database; each call reads and changes the entries of one tenant.

    Every method raises `DatabaseUnavailable` when the database does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, tenant: str, slug: str, content: Content) -> Entry:
        """Add a draft.

        Raises:
            SlugTaken: the tenant already has an entry with this slug.
        """
        now = datetime.now(UTC)
        entry = Entry(tenant=tenant, slug=slug, title=content.title, body=content.body, created_at=now, updated_at=now)
        with self._database.transaction() as session:
            session.add(entry)
            try:
                session.flush()
            except IntegrityError as err:
                raise SlugTaken(slug) from err
        return entry

    def read(self, tenant: str, slug: str) -> Entry:
        """Return one entry.

        Raises:
            EntryNotFound: the tenant has no entry with this slug.
        """
        with self._database.transaction() as session:
            return _found(session.get(Entry, (tenant, slug)), slug)

    def page(self, tenant: str, after: str | None, limit: int) -> Page:
        """Return up to `limit` entries whose slugs sort after `after`, fewer if their bodies are long."""
        statement = select(Entry).where(Entry.tenant == tenant).order_by(Entry.slug).limit(limit + 1)
        if after is not None:
            statement = statement.where(Entry.slug > after)
        with self._database.transaction() as session:
            rows = session.scalars(statement).all()
        entries = _fitting(rows[:limit])
        return Page(entries, next=entries[-1].slug if len(entries) < len(rows) else None)

    def replace(self, tenant: str, slug: str, content: Content) -> Entry:
        """Replace the title and body of an entry.

        Raises:
            EntryNotFound: the tenant has no entry with this slug.
        """
        statement = (
            update(Entry)
            .where(_key(tenant, slug))
            .values(title=content.title, body=content.body, updated_at=datetime.now(UTC))
            .returning(Entry)
        )
        with self._database.transaction() as session:
            return _found(session.scalar(statement), slug)

    def publish(self, tenant: str, slug: str) -> tuple[Entry, bool]:
        """Publish an entry; return it, and whether this call published it. A published entry keeps its date.

        Raises:
            EntryNotFound: the tenant has no entry with this slug.
        """
        statement = (
            update(Entry)
            .where(_key(tenant, slug), Entry.published_at.is_(None))
            .values(published_at=datetime.now(UTC))
            .returning(Entry)
        )
        with self._database.transaction() as session:
            published = session.scalar(statement)
            if published is not None:
                return published, True
            return _found(session.get(Entry, (tenant, slug)), slug), False

    def delete(self, tenant: str, slug: str) -> None:
        """Remove an entry.

        Raises:
            EntryNotFound: the tenant has no entry with this slug.
        """
        statement = delete(Entry).where(_key(tenant, slug)).returning(Entry.slug)
        with self._database.transaction() as session:
            _found(session.scalar(statement), slug)


def _key(tenant: str, slug: str) -> ColumnElement[bool]:
    return and_(Entry.tenant == tenant, Entry.slug == slug)


def _found(row: T | None, slug: str) -> T:
    if row is None:
        raise EntryNotFound(slug)
    return row


def _fitting(rows: Sequence[Entry]) -> Sequence[Entry]:
    """Return the first rows, at least one, that fit on a page."""
    characters = 0
    for count, row in enumerate(rows):
        characters += len(row.body)
        if count and characters > _MAX_PAGE_CHARACTERS:
            return rows[:count]
    return rows
