"""How labels, numbers and words are written in the store: as they are printed.

A word is one token of a packed line: a number, or text without spaces.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

__all__ = [
    "TIMES_WIDTH",
    "SeriesNumbers",
    "exemplar_word",
    "info_text",
    "info_word",
    "is_classic",
    "is_classic_label",
    "label_name",
    "label_text",
    "number_text",
    "pack_line",
    "printable",
]

# label text -> the words of its packed line, without the times
SeriesNumbers = dict[bytes, bytes]

# " 1764000000000 1764000000001" at the end of every packed line
TIMES_WIDTH = 28

_SAFE_IN_WORD = '="\\,/:;.+-_{}()[]@'
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
# Prometheus reads a NUL as the end of the page; a lone surrogate has no UTF-8 form.
_UNPRINTABLE = "[\x00\ud800-\udfff]"


def is_classic(name: str) -> bool:
    """Tell whether a metric's name is valid in all versions of Prometheus."""
    return is_classic_label(name.replace(":", "_"))


def is_classic_label(name: str) -> bool:
    """Tell the same of a label's name, which has no colon: letters, digits and `_`, not beginning with a digit."""
    return name.isascii() and name.isidentifier()


def label_text(names: Sequence[str], values: Iterable[str]) -> str:
    r"""Print labels as they are between the braces of an exposition line.

    Args:
        names: label names, sorted.
        values: one value for each name.

    Example:
        >>> label_text(["path"], ['say "hi"\n'])
        'path="say \\"hi\\"\\n"'
    """
    pairs = zip(names, values, strict=True)
    return ",".join([f'{label_name(name)}="{printable(value).translate(_ESCAPES)}"' for name, value in pairs])


@lru_cache(maxsize=4096)
def label_name(name: str) -> str:
    """Print a label's name: as it is, or in quotes if it is not a classic name.

    Example:
        >>> label_name("mail_to"), label_name("mail.to")
        ('mail_to', '"mail.to"')
    """
    return name if is_classic_label(name) else f'"{printable(name).translate(_ESCAPES)}"'


def printable(value: str) -> str:
    r"""Replace the characters that no page can hold.

    Example:
        >>> printable("a\x00b")
        'a\ufffdb'
    """
    # Nearly all texts end here, so the pattern is compiled with the first that does not.
    return value if value.isprintable() else re.sub(_UNPRINTABLE, "\ufffd", value)


def info_word(labels: Mapping[str, object]) -> str:
    """Print the labels of an info as one word.

    Example:
        >>> info_word({"version": "1 beta"})
        '=version="1%20beta"'
    """
    text = label_text(sorted(labels), [str(labels[name]) for name in sorted(labels)])
    return "=" + quote(text, safe=_SAFE_IN_WORD)


def info_text(word: bytes) -> bytes:
    """Return the label text in an info's word.

    Example:
        >>> info_text(b'=version="1%20beta"')
        b'version="1 beta"'
    """
    return unquote_to_bytes(word[1:])


def exemplar_word(labels: Mapping[str, object], value: float) -> str:
    """Print an exemplar as one word.

    Example:
        >>> exemplar_word({"trace_id": "4bf9"}, 0.25)
        '=0.25=trace_id="4bf9"'
    """
    return f"={number_text(value)}{info_word(labels)}"


def number_text(number: float) -> str:
    """Print a float with 15 digits, or with 17 if it would not read back exactly.

    Example:
        >>> number_text(0.1), number_text(3.0), number_text(float("inf"))
        ('0.1', '3', '+Inf')
    """
    if number != number:  # noqa: PLR0124  the one test for NaN that needs no import
        return "NaN"
    if number in (float("inf"), float("-inf")):
        return "+Inf" if number > 0 else "-Inf"
    short = f"{number:.15g}"
    return short if float(short) == number else f"{number:.17g}"


def pack_line(numbers: Iterable[float | str], created_ms: int, touched_ms: int) -> bytes:
    """Build a packed line.

    Args:
        numbers: its words; numbers are printed.
        created_ms: when the series was created, in ms since 1970.
        touched_ms: when it was updated last, in ms since 1970.

    Example:
        >>> pack_line([3, 0.25], 1764000000000, 1764000000001)
        b'3 0.25 1764000000000 1764000000001'
    """
    words = [number if isinstance(number, str) else number_text(number) for number in numbers]
    return f"{' '.join(words)} {created_ms:013d} {touched_ms:013d}".encode()
