"""Mapped classes of authors and books, and a count of the queries that work on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Column, Engine, Executable, ForeignKey, Integer, MetaData, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from lib.kairo_metrics.instruments.catalogue import OWN

__all__ = [
    "AUTHORS",
    "BOOKS",
    "VISITS",
    "Author",
    "Base",
    "Book",
    "Editor",
    "Poet",
    "Volume",
    "added",
    "counted",
    "executed",
    "failed",
]


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "authors"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(default="author")

    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "author"}  # noqa: RUF012 - SQLAlchemy's form


class Poet(Author):
    __tablename__ = "poets"

    id: Mapped[int] = mapped_column(ForeignKey(Author.id), primary_key=True)

    __mapper_args__ = {"polymorphic_identity": "poet"}  # noqa: RUF012 - the same


class Editor(Author):
    __mapper_args__ = {"polymorphic_identity": "editor"}  # noqa: RUF012 - the same


class Book(Base):
    __tablename__ = "books"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey(Author.id))
    author: Mapped[Author] = relationship()


class Volume(Base):
    """A second class of the table of books."""

    __table__ = Book.__table__


AUTHORS, BOOKS = Author.__table__, Book.__table__
VISITS = Table("visits", MetaData(), Column("id", Integer, primary_key=True))

Counts = dict[tuple[str, str], float]


def _samples(name: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels.values()): sample.value
        for family in OWN.collect()
        for sample in family.samples
        if sample.name == name
    }


@contextmanager
def added(name: str) -> Iterator[Callable[[], dict[tuple[str, ...], float]]]:
    """Give a function that returns what a metric has got since, by the values of its labels."""
    before = _samples(name)
    yield lambda: {
        key: value - before.get(key, 0) for key, value in _samples(name).items() if value != before.get(key, 0)
    }


def counted(work: Callable[[], object]) -> Counts:
    """Return how many queries `work` adds, by model and operation."""
    with added("tenant_db_query_duration_seconds_count") as queries:
        work()
    return {(model, operation): value for (model, operation), value in queries().items()}


def failed(work: Callable[[], object]) -> dict[tuple[str, ...], float]:
    """Return how many errors `work` adds, by model, operation and class."""
    with added("tenant_db_query_errors_total") as errors:
        work()
    return errors()


def executed(engine: Engine, statement: Executable) -> Counts:
    def work() -> None:
        with engine.begin() as connection:
            connection.execute(statement)

    return counted(work)
