"""Snappy's block format, in which remote write wraps its messages. The data is not compressed.

The snappy libraries are compiled code, larger in a function's bundle than this package and its clients together. The
format lets an encoder write data as it is ("literals"), which any decoder reads.
"""

from __future__ import annotations

__all__ = ["wrap"]

_LONGEST_LITERAL = 1 << 16
# A literal's tag has 00 in its two lower bits. The upper bits hold its length less one, up to 59. The value 61 means
# that the length less one follows in two bytes.
_SHORT = 60
_TWO_BYTES = bytes([61 << 2])
# In a varint, the bit that is set if another byte follows.
_MORE = 0x80


def wrap(data: bytes) -> bytes:
    r"""Return the data as a block.

    Source: the description of the format in the library of that name, sections 1 and 2.1.

    Example:
        >>> wrap(b"abc")
        b'\x03\x08abc'
    """
    pieces = [_varint(len(data))]
    for start in range(0, len(data), _LONGEST_LITERAL):
        literal = data[start : start + _LONGEST_LITERAL]
        pieces += [_tag(len(literal) - 1), literal]
    return b"".join(pieces)


def _tag(length_less_one: int) -> bytes:
    if length_less_one < _SHORT:
        return bytes([length_less_one << 2])
    return _TWO_BYTES + length_less_one.to_bytes(2, "little")


def _varint(number: int) -> bytes:
    """Write a number seven bits at a time, the lowest first."""
    written = bytearray()
    while number >= _MORE:
        written.append(number % _MORE | _MORE)
        number //= _MORE
    return bytes([*written, number])
