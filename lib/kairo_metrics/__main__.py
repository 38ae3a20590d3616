"""`python -m lib.kairo_metrics`, or `python -m kairo_metrics` from the wheel."""

from __future__ import annotations

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
