"""The functions that an AWS Lambda project names in its template, found by the lines that matter."""

from __future__ import annotations

import re
from pathlib import Path

from .text_file import read_text

__all__ = ["handlers_of", "template_of"]

_TEMPLATES = ("template.yaml", "template.yml", "serverless.yml", "serverless.yaml")
_FUNCTION = re.compile(r"AWS::(?:Serverless|Lambda)::Function|^\s*name:\s*aws\b|^provider:\s*aws\b", re.MULTILINE)
_VALUE = r":\s*[\"']?([\w./-]+)"


def template_of(root: Path) -> Path | None:
    """Return the project's template of SAM, CloudFormation or the Serverless Framework, if it has functions."""
    for name in _TEMPLATES:
        if _FUNCTION.search(read_text(root, Path(name)) or ""):
            return Path(name)
    return None


def handlers_of(root: Path, template: Path) -> tuple[Path, list[tuple[Path, str]]]:
    """Return the folder of the code, and file and name of each handler that exists.

    A template is not parsed as YAML: that needs a library, and its own tags. If the functions have different folders,
    the folder of the code is the project.
    """
    text = read_text(root, template) or ""
    shared = re.search(rf"^Globals:(?:\n[ \t].*|\n)*?\n[ \t]+CodeUri{_VALUE}", text, re.MULTILINE)
    found: list[tuple[Path, Path, str]] = []
    for block in re.split(r"\n(?=  [\w]+:\s*(?:\n|$))", text):  # a resource or a function each
        handler = re.search(rf"^\s*[Hh]andler{_VALUE}", block, re.MULTILINE)
        if not handler or "." not in handler[1]:
            continue
        folder = re.search(rf"^\s*CodeUri{_VALUE}", block, re.MULTILINE) or shared
        code = Path(folder[1]) if folder else Path()
        module, _, name = handler[1].rpartition(".")
        file = code / Path(*module.replace("/", ".").strip(".").split(".")).with_suffix(".py")
        if (root / file).is_file() and (code, file, name) not in found:
            found.append((code, file, name))
    codes = {code for code, _, _ in found}
    return codes.pop() if len(codes) == 1 else Path(), [(file, name) for _, file, name in found]
