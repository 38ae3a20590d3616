"""What a project measures its requests with until now. `init` writes no second measurement beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..store_access import CommandError
from .text_file import read_text

__all__ = ["EarlierLibrary", "find_earlier_library"]

# By the word for `names=`: the library, and a line that shows that it measures requests. What else a library has may
# stay after the move, such as the database backends of django-prometheus.
_LIBRARIES = {
    "starlette_exporter": ("starlette_exporter", r"^\s*(?:from|import)\s+starlette_exporter\b"),
    "fastapi_instrumentator": (
        "prometheus-fastapi-instrumentator",
        r"^\s*(?:from|import)\s+prometheus_fastapi_instrumentator\b",
    ),
    "flask_exporter": ("prometheus_flask_exporter", r"^\s*(?:from|import)\s+prometheus_flask_exporter\b"),
    "django_prometheus": ("django-prometheus", r"^[^#\n]*\bdjango_prometheus\.middleware\b"),
}


@dataclass(frozen=True, slots=True)
class EarlierLibrary:
    """A library that measures the requests of a project.

    Args:
        name: as its users call it.
        names: the argument of `instrument` that keeps the names of its metrics.
        file: where it is used, relative to the project.
    """

    name: str
    names: str
    file: Path

    def step(self, app: str, where: Path, page: str | None) -> str:
        """Return what the user does in its place.

        Args:
            app: the name of the app.
            where: the file with the app.
            page: the path at which the app also serves the metrics page; None if something else does.
        """
        metrics_path = f', metrics_path="{page}"' if page else ""
        line = f'{app} = instrument({app}, names="{self.names}"{metrics_path})'
        return (
            f"{self.file}: {self.name} measures your requests: take it out as docs/migrating.md shows, and write "
            f"{line} in {where}"
        )


def find_earlier_library(root: Path, files: Iterable[Path]) -> EarlierLibrary | None:
    """Return the library that measures the requests, or None if there is none that `names=` knows.

    Args:
        root: the project.
        files: those that may use it, relative to the project.
    """
    for file in files:
        try:
            text = read_text(root, file) or ""
        except CommandError:  # a file that nobody runs, perhaps
            continue
        for names, (name, line) in _LIBRARIES.items():
            if re.search(line, text, re.MULTILINE):
                return EarlierLibrary(name, names, file)
    return None
