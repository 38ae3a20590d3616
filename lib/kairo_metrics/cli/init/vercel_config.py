"""A project's settings for Vercel: its `vercel.json`, and what the CLI keeps of a linked project."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..store_access import CommandError
from .text_file import read_text

__all__ = ["PRESETS", "VercelConfig", "read_vercel"]

FILE = Path("vercel.json")
# The frameworks that Vercel deploys as one app, and ignores `api/*.py` then. Any other Python app is "python".
PRESETS = {"FastAPI": "fastapi", "Flask": "flask", "Django": "django"}
_PYTHON_PRESETS = {*PRESETS.values(), "fasthtml", "python"}
_OTHER_FORMS = ("vercel.ts", "vercel.mts", "vercel.js", "vercel.mjs", "vercel.cjs", "vercel.toml", "now.json")
_EVERYTHING = re.compile(r"\^?/?(\(\.\*\)|:\w+\*|\(\?:\.\*\)|\.\*)\$?")


@dataclass(frozen=True, slots=True)
class VercelConfig:
    """What the project tells Vercel.

    Args:
        text: the text of `vercel.json`; None if there is none.
        data: its content.
        linked_preset: the framework that the linked project has, if the CLI has linked one.
        other_form: another file in which the project has its settings.
    """

    text: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    linked_preset: str | None = None
    other_form: str | None = None

    @property
    def preset(self) -> str | None:
        """The preset for Python that is chosen; None if there is none, or another one."""
        chosen = self.data.get("framework", self.linked_preset)
        return chosen if chosen in _PYTHON_PRESETS else None

    @property
    def routes_itself(self) -> bool:
        """Whether it has `builds` or `routes`, the old form, which accepts neither `functions` nor `rewrites`."""
        return "builds" in self.data or "routes" in self.data

    @property
    def built(self) -> list[str]:
        """The sources of `builds` for Python."""
        builds = [build for build in self.data.get("builds", ()) if isinstance(build, dict)]
        return [
            build["src"] for build in builds if "python" in build.get("use", "") and isinstance(build.get("src"), str)
        ]

    @property
    def everything_goes_to(self) -> str | None:
        """The destination of all paths without a file of their own; None if there is no such rule."""
        for rule in (*self.data.get("rewrites", ()), *self.data.get("routes", ())):
            source = rule.get("source", rule.get("src")) if isinstance(rule, dict) else None
            if isinstance(source, str) and _EVERYTHING.fullmatch(source):
                found: str | None = rule.get("destination", rule.get("dest"))
                return found
        return None


def read_vercel(root: Path) -> VercelConfig:
    """Read what there is.

    Raises:
        CommandError: `vercel.json` can't be read, or is not a JSON object.
    """
    other = next((name for name in _OTHER_FORMS if (root / name).is_file()), None)
    text = read_text(root, FILE)
    data = _parsed(text) if text is not None else {}
    return VercelConfig(text, data, _linked_preset(root), other)


def _parsed(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text.removeprefix("\ufeff"))
    except ValueError as err:
        raise CommandError(f"{FILE} is not valid JSON: {err}; correct it first") from err
    if not isinstance(data, dict):
        raise CommandError(f"{FILE} must be a JSON object, such as {{}}; correct it first")
    for key, form in (("functions", dict), ("rewrites", list), ("headers", list), ("builds", list), ("routes", list)):
        if not isinstance(data.get(key, form()), form):
            raise CommandError(
                f"{FILE}: {key!r} must be {'an object' if form is dict else 'an array'}; correct it first"
            )
    return data


def _linked_preset(root: Path) -> str | None:
    try:
        linked = json.loads((root / ".vercel" / "project.json").read_text())
        framework = linked["settings"]["framework"]
    except (OSError, ValueError, KeyError, TypeError):  # not linked
        return None
    return framework if isinstance(framework, str) else None
