"""Fixtures of the tests of `init`."""

from __future__ import annotations

from tests.support.init_run import init, shop

__all__ = ["init", "shop"]
