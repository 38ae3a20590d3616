"""Names of metrics beyond the classic letters: quoted, or escaped to classic letters.

Source: https://prometheus.io/docs/instrumenting/escaping_schemes/
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from ..model.encoding import is_classic, label_name
from ..model.schema import Schema
from .escaping import ALLOW_UTF_8, SCHEMES, escaped
from .family import SUFFIXES, Extras, Family, sample_names_of

__all__ = [
    "VALUE_SUFFIXES",
    "answers_to",
    "bare",
    "claimed_names",
    "found_by",
    "name_of",
    "opened",
    "printed_label",
    "unquoted_name",
    "unquoted_name_of",
]

# By type, the suffix of a sample that is the value of a series; empty for the other types.
VALUE_SUFFIXES = {"counter": "_total", "info": "_info"}
_OF_HISTOGRAM = ("", "_bucket", "_count", "_sum")
# By type, the suffixes of the names that a page has of a family. An OpenMetrics page reserves all of `SUFFIXES`.
_PRINTED = {"counter": ("_total",), "histogram": _OF_HISTOGRAM, "info": ("_info",), "native": _OF_HISTOGRAM}
_WITH_CREATED = frozenset({"counter", "histogram", "native", "summary"})


@lru_cache(maxsize=4096)
def printed_label(name: str, scheme: str) -> str:
    """Return a label's name as the scheme writes it, without quotes.

    Names that begin with two underscores belong to Prometheus, and strict parsers refuse them. They become
    `exported__...`, like a label that a target has, too.

    Example:
        >>> printed_label("mail.to", "underscores"), printed_label("mail.to", "allow-utf-8")
        ('mail_to', 'mail.to')
    """
    printed = escaped(name, scheme, colons=False)
    return f"exported{printed}" if printed.startswith("__") else printed


@lru_cache(maxsize=4096)
def _base(name: str, value_suffix: str, scheme: str) -> str:
    """Escape a name. A counter is escaped with its suffix, as Prometheus' own libraries do; it is taken off again."""
    return escaped(f"{name}{value_suffix}", scheme, colons=True).removesuffix(value_suffix)


def name_of(family: Family, suffix: str = "") -> str:
    """Return the name of the family's samples with this suffix, in quotes if it has other than classic letters.

    Every sample begins with the name that `# TYPE` has, in each scheme.

    Example:
        >>> from ..model.schema import Schema
        >>> name_of(Family(Schema("mails.sent", "counter"), {}, escaping="underscores"), "_total")
        'mails_sent_total'
    """
    if family.escaping == ALLOW_UTF_8:
        name = f"{family.schema.name}{suffix}"
        return name if is_classic(name) else label_name(name)
    return unquoted_name_of(family, suffix)


def unquoted_name_of(family: Family, suffix: str = "") -> str:
    """Return the same name without quotes."""
    return unquoted_name(family.schema, family.escaping, suffix)


def unquoted_name(schema: Schema, scheme: str, suffix: str = "") -> str:
    """Return the name that a family's samples with this suffix have under the scheme, without quotes."""
    return _unquoted(schema.name, schema.type, suffix, scheme)


def _unquoted(name: str, typ: str, suffix: str, scheme: str) -> str:
    return f"{name if scheme == ALLOW_UTF_8 else _base(name, VALUE_SUFFIXES.get(typ, ''), scheme)}{suffix}"


def answers_to(schema: Schema, names: frozenset[str]) -> bool:
    """Tell whether a family has one of these names, or a sample of it does, as declared or as a format prints it.

    Example:
        >>> answers_to(Schema("mails.sent", "counter"), frozenset({"mails_sent_total"}))
        True
    """
    return not (
        names.isdisjoint(sample_names_of(schema)) and names.isdisjoint(_printed_names(schema.name, schema.type))
    )


def found_by(name: str, schemas: Sequence[Schema]) -> list[Schema]:
    """Return the families that are declared under this name, or else those that a format prints under it.

    Example:
        >>> [found.name for found in found_by("a_b", [Schema("a b", "gauge"), Schema("a_b", "gauge")])]
        ['a_b']
    """
    declared = [schema for schema in schemas if name in sample_names_of(schema)]
    return declared or [schema for schema in schemas if answers_to(schema, frozenset({name}))]


@lru_cache(maxsize=4096)
def _printed_names(name: str, typ: str) -> frozenset[str]:
    return frozenset(_unquoted(name, typ, suffix, scheme) for scheme in SCHEMES for suffix in SUFFIXES[typ])


def claimed_names(schema: Schema, extras: Extras) -> frozenset[str]:
    """Return the names that no other family of the same page may have.

    Args:
        schema: the family.
        extras: those of the format. Only OpenMetrics reserves names that it does not print.

    Example:
        >>> from ..model.schema import Schema
        >>> jobs = Schema("jobs", "counter")
        >>> sorted(claimed_names(jobs, Extras())), sorted(claimed_names(jobs, Extras(strict=True)))
        (['jobs_total'], ['jobs', 'jobs_created', 'jobs_total'])
    """
    has_created = extras.created and not extras.native and schema.type in _WITH_CREATED
    return _claimed(schema.name, schema.type, extras.escaping, strict=extras.strict, has_created=has_created)


@lru_cache(maxsize=4096)
def _claimed(name: str, typ: str, scheme: str, *, strict: bool, has_created: bool) -> frozenset[str]:
    suffixes = SUFFIXES[typ]
    if not strict:
        printed = _PRINTED.get(typ) or tuple(suffix for suffix in suffixes if suffix != "_created")
        suffixes = (*printed, *(("_created",) if has_created else ()))
    return frozenset(_unquoted(name, typ, suffix, scheme) for suffix in suffixes)


def opened(name: str) -> bytes:
    """Return the beginning of a sample with labels.

    Example:
        >>> opened("mails_sent"), opened('"mails.sent"')
        (b'mails_sent{', b'{"mails.sent",')
    """
    return f"{{{name},".encode() if name.startswith('"') else f"{name}{{".encode()


def bare(name: str) -> bytes:
    """Return the beginning of a sample without labels."""
    return f"{{{name}}}".encode() if name.startswith('"') else name.encode()
