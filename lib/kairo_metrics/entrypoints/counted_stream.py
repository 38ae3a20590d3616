"""The streams of a request and of its response, which count the bytes that pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .body_sizes import BodySizes

__all__ = ["CountedReader", "CountedWriter"]


class CountedReader:
    """Stands for the stream of a request's body; every other attribute is the stream's own.

    Args:
        stream: the server's.
        sizes: counts what is read.
        is_chunked: whether the app itself takes the chunks of the body apart.
    """

    def __init__(self, stream: Any, sizes: BodySizes, *, is_chunked: bool = False) -> None:
        self._stream = stream
        self._sizes = sizes
        self._payload = _Chunks().payload if is_chunked else len

    def read(self, *size: Any) -> Any:
        """Read as the stream does; so do the others."""
        return self._counted(self._stream.read(*size))

    def read1(self, *size: Any) -> Any:
        return self._counted(self._stream.read1(*size))

    def readline(self, *size: Any) -> Any:
        return self._counted(self._stream.readline(*size))

    def readlines(self, *hint: Any) -> list[Any]:
        return [self._counted(line) for line in self._stream.readlines(*hint)]

    def readinto(self, buffer: Any) -> Any:
        count = self._stream.readinto(buffer)
        self._counted(bytes(memoryview(buffer)[: count or 0]))
        return count

    def __iter__(self) -> Iterator[Any]:
        lines: Iterable[Any] = self._stream
        return map(self._counted, lines)

    def __getattr__(self, name: str) -> Any:
        if name == "_stream":  # `copy` asks for it before it is set
            raise AttributeError(name)
        return getattr(self._stream, name)

    def _counted(self, data: Any) -> Any:
        self._sizes.received += self._payload(data or b"")
        return data


class CountedWriter:
    """Stands for the stream of a handler's response; every other attribute is the stream's own.

    Args:
        handler: of `http.server`. Its headers leave through the same stream, and do not count.
        sizes: counts what is written.
    """

    def __init__(self, handler: Any, sizes: BodySizes) -> None:
        self._handler = handler
        self.stream = handler.wfile
        self._sizes = sizes
        self._payload: Any = None

    def write(self, data: Any) -> Any:
        """Write as the stream does; so does `writelines`."""
        written = self.stream.write(data)
        head = b"".join(getattr(self._handler, "_headers_buffer", ()))
        if head and data == head:
            self._payload = _Chunks().payload if b"\r\ntransfer-encoding: chunked" in head.lower() else None
        else:
            self._sizes.sent += memoryview(data).nbytes if self._payload is None else self._payload(data)
        return written

    def writelines(self, lines: Iterable[Any]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name == "stream":
            raise AttributeError(name)
        return getattr(self.stream, name)


class _Chunks:
    """Finds the payload in a body that is sent in chunks (RFC 9112, section 7.1), however it is cut."""

    def __init__(self) -> None:
        self._line = b""
        self._left = 0
        self._is_over = False

    def payload(self, data: Any) -> int:
        """Return how many bytes of the next part are payload."""
        rest, count = bytes(data), 0
        while rest and not self._is_over:
            if self._left > 0:
                taken = min(self._left, len(rest))
                count, self._left, rest = count + taken, self._left - taken, rest[taken:]
                continue
            line, newline, rest = rest.partition(b"\n")
            self._line += line
            size = self._line.partition(b";")[0].strip()
            if newline:
                self._line = b""
            if newline and size:  # after a chunk's payload its line ends
                self._left = _hexadecimal(size)
                self._is_over = not self._left
        return count


def _hexadecimal(size: bytes) -> int:
    try:
        return int(size, 16)
    except ValueError:
        return 0
