"""Names beyond the classic letters: quoted, or escaped to classic letters.

Source: https://prometheus.io/docs/instrumenting/escaping_schemes/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from prometheus_client.openmetrics.exposition import escape_label_name, escape_metric_name

from ..model.encoding import is_classic, label_text
from ..model.labels import labels_of
from .family import Family

__all__ = [
    "SCHEMES",
    "UNDERSCORES",
    "VALUE_SUFFIXES",
    "bare",
    "escaped",
    "name_of",
    "opened",
    "sample_names",
    "unquoted_name_of",
]

ALLOW_UTF_8 = "allow-utf-8"
UNDERSCORES = "underscores"
# By type, the suffix of a sample that is the value of a series; empty for the other types.
VALUE_SUFFIXES = {"counter": "_total", "info": "_info"}
SCHEMES = (ALLOW_UTF_8, UNDERSCORES, "dots", "values")

T = TypeVar("T")


def escaped(family: Family, scheme: str) -> Family:
    """Return the family with the scheme's names for its labels, and with the scheme for its own name.

    Example:
        >>> from ..model.schema import Schema
        >>> family = Family(Schema("mails.sent", "counter", ("mail.to",)), {b'"mail.to"="a"': b"3"})
        >>> escaped(family, "underscores").series, name_of(escaped(family, "underscores"), "_total")
        ({b'mail_to="a"': b'3'}, 'mails_sent_total')
    """
    # Infos and statesets have labels that are not in their schema.
    has_other_labels = family.schema.type in {"info", "stateset"}
    if not has_other_labels and all(_label(label, scheme) == label for label in family.schema.labelnames):
        return replace(family, escaping=scheme)
    return replace(
        family,
        series=_renamed(family.series, scheme),
        exemplars=_renamed(family.exemplars, scheme),
        created=_renamed(family.created, scheme),
        escaping=scheme,
    )


def _renamed(rows: Mapping[bytes, T], scheme: str) -> dict[bytes, T]:
    renamed = {}
    for text, content in rows.items():
        labels = {_label(name, scheme): value for name, value in labels_of(text.decode()).items()}
        renamed[label_text(list(labels), labels.values()).encode()] = content
    return renamed


def _label(name: str, scheme: str) -> str:
    return name if scheme == ALLOW_UTF_8 else escape_label_name(name, scheme)


def sample_names(family: Family, scheme: str) -> frozenset[str]:
    """Return the names that the family's samples may have, as the scheme writes them."""
    if is_classic(family.schema.name):
        return family.sample_names
    return frozenset(escape_metric_name(name, scheme) for name in family.sample_names)


def name_of(family: Family, suffix: str = "") -> str:
    """Return the name of the family's samples with this suffix, in quotes if it has other than classic letters."""
    escaped_name: str = escape_metric_name(f"{family.schema.name}{suffix}", family.escaping)
    return escaped_name


def unquoted_name_of(family: Family, suffix: str = "") -> str:
    """Return the same name without quotes."""
    return f"{family.schema.name}{suffix}" if family.escaping == ALLOW_UTF_8 else name_of(family, suffix)


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
