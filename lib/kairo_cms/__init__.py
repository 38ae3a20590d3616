"""The watched system: a small content API in which every tenant has entries of its own."""

from __future__ import annotations

from .routes import content_app

__all__ = ["content_app"]
