"""Removing what is of no more use, as `tidy.lua` does it."""

from __future__ import annotations

from collections.abc import Sequence

from ..config.settings import Settings
from ..model.leases import fold_rule, residual_text
from ..model.snapshot import IndexEntry
from .command_flow import Command, CommandFlow
from .keys import Keys
from .scripts import ask, locks_keys

__all__ = ["tidy"]

_TIDIED_AT_ONCE = 250


def tidy(settings: Settings, entry: IndexEntry, texts: Sequence[bytes]) -> CommandFlow[None]:
    """Remove what is of no more use, some hundred lines a command.

    Raises:
        StoreRefused: the server answered with an error.
    """
    keys = Keys(settings.namespace, entry.shard)
    schema = entry.schema
    limits = settings.series_ttl_s * 1000, settings.instance_lease_s * 1000
    rule = fold_rule(schema) if schema.per_instance else "none"
    for start in range(0, max(1, len(texts)), _TIDIED_AT_ONCE):
        some = texts[start : start + _TIDIED_AT_ONCE]
        pairs = [word for text in some for word in (text, residual_text(text) if schema.per_instance else b"")]
        arguments: Command = (2, keys.series(schema), keys.families, *limits, rule, schema.index_field, *pairs)
        yield from ask("tidy.lua", arguments, key_locking=locks_keys(settings.redis_url))
