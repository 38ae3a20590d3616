"""What happens to the values of an instance after its lease has ended."""

from __future__ import annotations

import re

from .schema import ENDED, INSTANCE_LABEL, Schema

__all__ = ["fold_rule", "residual_text", "without_instance"]

_NAME = INSTANCE_LABEL.encode()
_INSTANCE = re.compile(rb'(^|,)%b="(?:[^"\\]|\\.)*"(,|$)' % _NAME)


def fold_rule(schema: Schema) -> str:
    """Return `forget`, or the rule by which one value is kept of all ended instances: `min`, `max` or `latest`.

    Args:
        schema: a gauge with a value for each instance.
    """
    if schema.mode.startswith("live"):
        return "forget"
    return "latest" if schema.mode == "all" else schema.mode


def residual_text(text: bytes) -> bytes:
    """Return the label text under which the value of ended instances is kept.

    Example:
        >>> residual_text(b'instance_id="a",room="b"')
        b'instance_id="__ended__",room="b"'
    """
    return _INSTANCE.sub(rb'\1%b="%b"\2' % (_NAME, ENDED.encode()), text)


def without_instance(text: bytes) -> bytes:
    """Return the label text without the instance.

    Example:
        >>> without_instance(b'instance_id="a",room="b"'), without_instance(b'a="1",instance_id="a",room="b"')
        (b'room="b"', b'a="1",room="b"')
    """
    return _INSTANCE.sub(lambda match: b"," if match[1] and match[2] else b"", text)
