"""Removing stale lines with `tidy.lua`."""

from __future__ import annotations

from collections.abc import Sequence

from ..config.settings import Settings
from ..model.leases import fold_rule, residual_text
from ..model.snapshot import IndexEntry
from .command_flow import Command, CommandFlow
from .keys import Keys
from .script_call import call_script, supports_key_locking

__all__ = ["tidy"]

_LINES_PER_COMMAND = 250


def tidy(settings: Settings, entry: IndexEntry, texts: Sequence[bytes]) -> CommandFlow[None]:
    """Remove lines that have expired, 250 in each command.

    Args:
        settings: the namespace, and how long series and instances live.
        entry: the family.
        texts: the label texts of lines that seemed to have expired; the script checks each one again.

    Raises:
        StoreRefused: the server answered with an error.
    """
    keys = Keys(settings.namespace, entry.shard)
    schema = entry.schema
    limits_ms = settings.series_ttl_s * 1000, settings.instance_lease_s * 1000
    rule = fold_rule(schema) if schema.per_instance else "none"
    for start in range(0, max(1, len(texts)), _LINES_PER_COMMAND):
        part = texts[start : start + _LINES_PER_COMMAND]
        pairs = [word for text in part for word in (text, residual_text(text) if schema.per_instance else b"")]
        arguments: Command = (2, keys.series(schema), keys.families, *limits_ms, rule, schema.index_field, *pairs)
        yield from call_script("tidy.lua", arguments, key_locking=supports_key_locking(settings.redis_url))
