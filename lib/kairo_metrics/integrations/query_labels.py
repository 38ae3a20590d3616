"""What a statement of SQLAlchemy works on: the model and the operation of one query."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .bounded import BoundedLabel
from .sql_verb import OTHER, RAW, sql_verb

if TYPE_CHECKING:
    from sqlalchemy.orm import Mapper

__all__ = ["query_labels"]

_log = logging.getLogger("kairo_metrics")
# A program may create tables as it runs, for example one per customer; their series must not be without a limit.
_model_label = BoundedLabel(200)

# SQLAlchemy caches compiled statements, so the labels of each are worked out once, and kept in this attribute of it.
_LABELS = "kairo_labels"


def query_labels(compiled: Any, sql: str) -> tuple[str, str]:
    """Return the model and the operation of a query.

    Args:
        compiled: the compiled statement; None if the driver was given the text itself.
        sql: the text that the cursor executes.
    """
    if compiled is None:
        return RAW, sql_verb(sql)
    labels: tuple[str, str] | None = getattr(compiled, _LABELS, None)
    if labels is None:
        try:
            labels = _describe(compiled, sql)
        except Exception:  # noqa: BLE001  a construct of another library: its query must not fail because of us
            _log.warning("the model of a query is not known, so it counts as raw: %s", sql, exc_info=True)
            labels = RAW, sql_verb(sql)
        with suppress(AttributeError):  # a construct of another library may take no attributes
            setattr(compiled, _LABELS, labels)
    return labels


def _describe(compiled: Any, sql: str) -> tuple[str, str]:
    from sqlalchemy import Delete, Insert, SelectBase, Update

    # "from_statement" of the ORM: entities that are read from the rows of another statement.
    statement = compiled.statement
    inner = statement.element if getattr(statement, "__visit_name__", "") == "orm_from_statement" else statement
    # By class and not by text first: the text of a construct may begin with WITH or a bracket.
    kinds = {SelectBase: "select", Insert: "insert", Update: "update", Delete: "delete"}
    operation = next((name for kind, name in kinds.items() if isinstance(inner, kind)), None) or sql_verb(sql)
    if operation == OTHER:
        return RAW, OTHER
    mappers = list(_selected_mappers(statement))
    froms = getattr(compiled.compile_state, "froms", None) if inner is statement else None
    table = _first_table(froms or [inner])
    if table is None:
        # Textual SQL names no table to us, but the ORM may have been told which class its rows are.
        model = _class_name(mappers[0]) if mappers and inner is not statement else None
    else:
        model = next((_class_name(mapper) for mapper in mappers if _maps(mapper, table)), None) or _model_of(table)
    return RAW if model is None else _model_label(model), operation


def _first_table(elements: Any) -> Any:
    """Return the table that stands first in a FROM: of a join the left one, of a subquery the one that it reads."""
    return next((table for table in map(_table, elements) if table is not None), None)


def _table(element: Any) -> Any:
    from sqlalchemy import CompoundSelect, Delete, Insert, Join, Select, TableClause, Update

    while not isinstance(element, TableClause):
        if isinstance(element, Select):
            # Without a FROM, what its columns select from: SELECT EXISTS (SELECT ... FROM books).
            return _first_table(element.get_final_froms() or _selects_in(element))
        if isinstance(element, CompoundSelect):  # a union
            return _first_table(element.selects)
        if isinstance(element, Insert | Update | Delete):
            element = element.table
        elif isinstance(element, Join):
            element = element.left
        else:  # an alias, a subquery, a common table expression, a bracket; of a function or values there is no table
            element = getattr(element, "element", None)
        if element is None:
            return None
    return element


def _selects_in(statement: Any) -> list[Any]:
    from sqlalchemy import Select
    from sqlalchemy.sql import visitors

    return [element for element in visitors.iterate(statement) if isinstance(element, Select)][1:]


def _selected_mappers(statement: Any) -> Iterator[Mapper[Any]]:
    """Yield the mappers of what the ORM selects, in order, and last of what it selects from or writes to."""
    columns = getattr(statement, "_raw_columns", ())
    annotations = [getattr(column, "_annotations", {}) for column in columns]
    entities = [annotation.get("parententity") for annotation in annotations]
    entities.append(getattr(statement, "_propagate_attrs", {}).get("plugin_subject"))
    for entity in entities:
        mapper = getattr(entity, "mapper", None)  # of a mapper it is the mapper itself, of an alias its own
        if mapper is not None:
            yield mapper


def _maps(mapper: Mapper[Any], table: Any) -> bool:
    # "==" finds the annotated copy that an ORM statement has of a table. With concrete inheritance the first table of
    # a query may be that of a subclass.
    return any(table == mapped for descendant in mapper.self_and_descendants for mapped in descendant.tables)


def _class_name(mapper: Mapper[Any]) -> str:
    """Return the name of the class; subclasses without a table ("single") are counted under that of their parent."""
    while mapper.single and mapper.inherits is not None:
        mapper = mapper.inherits
    return mapper.class_.__name__


def _model_of(table: Any) -> str:
    # The registries know the classes of a table; SQLAlchemy has no public list of them.
    from sqlalchemy.orm.mapper import _all_registries

    mappers = (mapper for registry in _all_registries() for mapper in registry.mappers)
    # Of two classes of one table always the same is taken; the registries have no order.
    names = sorted(mapper.class_.__name__ for mapper in mappers if mapper.local_table == table and not mapper.single)
    name: str = table.name
    return names[0] if names else name
