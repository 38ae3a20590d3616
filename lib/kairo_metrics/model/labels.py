"""Parsing label texts in the form in which they are stored."""

from __future__ import annotations

import re

__all__ = ["LABELS_PATTERN", "LABEL_VALUE", "label_pairs", "labels_of"]

# One value as it is stored. It has no raw newline or quote, no NUL (Prometheus reads that as the end of the page), and
# no escapes other than the three of the format.
LABEL_VALUE = rb'"[^"\\\n\x00]*+(?:\\[\\"n][^"\\\n\x00]*+)*+"'
_LABEL_PAIR = rb'(?:[a-zA-Z_][a-zA-Z0-9_]*+|"[^"\\\n\x00]*+(?:\\[\\"n][^"\\\n\x00]*+)*+")=' + LABEL_VALUE
# One or more labels as they are stored.
LABELS_PATTERN = _LABEL_PAIR + rb"(?:," + _LABEL_PAIR + rb")*+"

_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*|"(?:[^"\\]|\\.)*")="((?:[^"\\]|\\.)*)"(?:,|$)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def labels_of(text: str) -> dict[str, str]:
    r"""Parse a text that `encoding.label_text` printed.

    Example:
        >>> labels_of('path="say \\"hi\\"\\n",way="a"')
        {'path': 'say "hi"\n', 'way': 'a'}
    """
    return dict(label_pairs(text))


def label_pairs(text: str) -> list[tuple[str, str]]:
    """Parse a label text in which a name may occur twice."""
    return [
        (_unescaped(name[1:-1] if name[0] == '"' else name), _unescaped(value)) for name, value in _LABEL.findall(text)
    ]


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: "\n" if match[1] == "n" else match[1], text) if "\\" in text else text
