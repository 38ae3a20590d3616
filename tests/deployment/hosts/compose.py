"""The compose file as `docker compose` reads it: with variables filled in, and ports and mounts parsed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.dev_server import REPOSITORY

__all__ = ["COMPOSE_FILE", "Compose", "MissingVariable"]

COMPOSE_FILE = REPOSITORY / "compose.yaml"
# The three forms that the file uses; another form stays in the text, and a test that looks for a `$` fails.
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")


class MissingVariable(LookupError):
    """A required variable is not set."""


@dataclass(frozen=True, slots=True)
class Compose:
    """The compose file, with its variables filled in.

    Args:
        document: the content of the YAML file.
    """

    document: dict[str, Any]

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Compose:
        """Read the file in an environment.

        Raises:
            MissingVariable: a required variable is not set; the message is the one in the file.
        """

        def value(found: re.Match[str]) -> str:
            given = environ.get(found["name"], "")
            if not given and found["kind"] == "?":
                raise MissingVariable(f"{found['name']}: {found['rest']}")
            return given or (found["rest"] or "" if found["kind"] == "-" else "")

        # Only parsed values are searched, because a comment may mention a variable.
        return cls(_mapped(yaml.safe_load(COMPOSE_FILE.read_text()), lambda text: _VARIABLE.sub(value, text)))

    def service(self, name: str) -> dict[str, Any]:
        """Return one service."""
        service: dict[str, Any] = self.document["services"][name]
        return service

    def mounts(self, name: str) -> dict[str, Path]:
        """Return the mounts of a service from this repository: the path in the container, and the file or folder."""
        triples = [volume.split(":") for volume in self.service(name).get("volumes", ())]
        return {inside: REPOSITORY / outside for outside, inside, *_ in triples if outside.startswith(".")}


def _mapped(value: Any, change: Any) -> Any:
    match value:
        case dict():
            return {name: _mapped(item, change) for name, item in value.items()}
        case list():
            return [_mapped(item, change) for item in value]
        case str():
            return change(value)
    return value
