"""The names of keys that are found in the server; taken apart nowhere else."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["StoredKey", "key_pattern", "read_key"]

_KEY = re.compile(r"kairo:v1:\{(?P<namespace>[^/{}]+)/(?P<shard>[0-9]+)\}:(?P<rest>.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key that was found in the server, taken apart.

    Args:
        text: all of it.
        shard: whose it is.
        kind: `families`, `series`, `shards`, `writer`, or whatever else stands there.
        index_field: for series, their family's place in the index.
    """

    text: str
    shard: int
    kind: str
    index_field: str = ""


def key_pattern(namespace: str) -> str:
    """Return the pattern for SCAN that finds a namespace's keys; no namespace has a letter that patterns obey."""
    return f"kairo:v1:{{{namespace}/*}}:*"


def read_key(namespace: str, key: bytes) -> StoredKey | None:
    """Take a key apart; None where it is not one of the namespace.

    Example:
        >>> read_key("blue", b"kairo:v1:{blue/3}:series:jobs:00ff").index_field
        'jobs 00ff'
    """
    text = key.decode(errors="surrogateescape")
    found = _KEY.fullmatch(text)
    if found is None or found["namespace"] != namespace:
        return None
    kind, _, rest = found["rest"].partition(":")
    name, _, schema_id = rest.rpartition(":")
    return StoredKey(text, int(found["shard"]), kind, f"{name} {schema_id}" if kind == "series" and name else "")
