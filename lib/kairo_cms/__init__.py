"""The watched system: a small content API in which each tenant has its own entries."""

from __future__ import annotations

from .routes import content_app

__all__ = ["content_app"]
