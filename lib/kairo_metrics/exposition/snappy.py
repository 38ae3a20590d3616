"""Snappy's block format, which remote write wraps its messages in; without compressing them.

The libraries for it are compiled, and weigh more in every function's bundle than all of this package and its
clients. The format lets an encoder write what it has as it is ("literals"), which any decoder reads.
"""

from __future__ import annotations

__all__ = ["wrap"]

_LONGEST_LITERAL = 1 << 16
# A literal's tag has 00 in its two lower bits. Above them stands its length less one, up to 59; 61 says that two
# bytes with it follow.
_SHORT = 60
_TWO_BYTES = bytes([61 << 2])
# In a varint, the bit that says that another byte follows.
_MORE = 0x80


def wrap(data: bytes) -> bytes:
    r"""Return the data in a valid block.

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
