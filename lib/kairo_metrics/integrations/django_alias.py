"""The databases of a Django project as values of a label."""

from __future__ import annotations

from .bounded import BoundedLabel

__all__ = ["alias_label"]

# A program may add databases as it runs, for example one per customer.
alias_label = BoundedLabel(100)
