"""The check for the package that one format and pushes need."""

from __future__ import annotations

from ...exposition.negotiate import protobuf_flaw
from .finding import Finding, ok, warn

__all__ = ["check_packages"]


def check_packages() -> Finding:
    """Check whether protobuf is installed in a version that works."""
    if flaw := protobuf_flaw():
        return warn("packages", flaw, "until then no page is in protobuf, and pushes are refused")
    return ok("packages", "protobuf works")
