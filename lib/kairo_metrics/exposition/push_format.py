"""What a protocol of pushes is: how it writes a page, and what a body carries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from .page import Page

__all__ = ["PER_REQUEST", "Body", "PushFormat"]

T = TypeVar("T")
# As many series as Prometheus sends in one request.
PER_REQUEST = 2_000


@dataclass(frozen=True, slots=True)
class Body:
    """The body of one request, and how much it carries.

    Args:
        data: the bytes.
        samples: how many samples of numbers, or data points, are in it.
        histograms: how many samples of native histograms.
        exemplars: how many exemplars.
    """

    data: bytes
    samples: int = 0
    histograms: int = 0
    exemplars: int = 0

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class PushFormat(Generic[T]):
    """One way to write a page for a receiver.

    Args:
        name: of the protocol, with its version.
        headers: of every request.
        items: what its parts are called, for people.
        has_native: whether it has native histograms.
        write_requests: returns the parts of a page with the target's labels, in lists of the size of a request.
        zero_requests: the same for the zeros of what began after a time, in ms since 1970.
        body_of: encodes such a list.
        title_of: returns the name and the labels of a part, as in a query.
    """

    name: str
    headers: Mapping[str, str]
    items: str
    has_native: bool
    write_requests: Callable[[Page, Mapping[str, str]], Iterator[list[T]]]
    zero_requests: Callable[[Page, Mapping[str, str], int], Iterator[list[T]]]
    body_of: Callable[[Sequence[T]], Body]
    title_of: Callable[[T], str]
