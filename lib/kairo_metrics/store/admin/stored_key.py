"""Parsing the names of keys that are in Redis; no other module does it."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["StoredKey", "key_pattern", "read_key"]

_KEY = re.compile(r"kairo:v1:\{(?P<namespace>[^/{}]+)/(?P<shard>[0-9]+)\}:(?P<rest>.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key that is in Redis.

    Args:
        text: the whole name.
        shard: its shard.
        kind: `families`, `series`, `shards`, `writer`, or an unknown word.
        index_field: of a key with series, their family's field in the index.
    """

    text: str
    shard: int
    kind: str
    index_field: str = ""


def key_pattern(namespace: str) -> str:
    """Return the SCAN pattern for a namespace's keys; a namespace has no characters that are special in patterns."""
    return f"kairo:v1:{{{namespace}/*}}:*"


def read_key(namespace: str, key: bytes) -> StoredKey | None:
    """Parse the name of a key; None if it is not one of the namespace.

    Example:
        >>> read_key("blue", b"kairo:v1:{blue/3}:series:jobs:00ff").index_field
        'jobs 00ff'
        >>> read_key("blue", b"kairo:v1:{blue/3}:series:jobs done:00ff").index_field
        'jobs done 00ff'
    """
    text = key.decode(errors="surrogateescape")
    match = _KEY.fullmatch(text)
    if match is None or match["namespace"] != namespace:
        return None
    kind, _, rest = match["rest"].partition(":")
    name, _, schema_id = rest.rpartition(":")
    return StoredKey(text, int(match["shard"]), kind, f"{name} {schema_id}" if kind == "series" and name else "")
