"""Which files `.gitignore` and `.vercelignore` keep out of a deployment."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

__all__ = ["Ignored", "ignored_by_git", "ignored_by_vercel", "matching_rule"]

_GIT_S = 10


@dataclass(frozen=True, slots=True)
class Ignored:
    """A file that is left out, and the rule that leaves it out.

    Args:
        path: relative to the project.
        rule: as `.gitignore, line 17: lib/`.
    """

    path: str
    rule: str


def ignored_by_git(root: Path, paths: Iterable[str]) -> list[Ignored]:
    """Return the paths that Git would not commit, as Git tells; without Git, as the project's `.gitignore` tells.

    Git also knows the `.gitignore` of folders above and below, and the excludes of the whole machine. It does not
    ignore a file that is committed already.
    """
    asked = list(paths)
    try:
        ran = subprocess.run(
            ["git", "check-ignore", "--verbose", "-z", "--stdin"],  # noqa: S607  the user's own Git
            cwd=root,
            input="\0".join(asked),
            capture_output=True,
            text=True,
            timeout=_GIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return list(_ignored_by_file(root / ".gitignore", asked))
    if ran.returncode > 1:  # no repository
        return list(_ignored_by_file(root / ".gitignore", asked))
    # Four fields for each path: file of the rule, line, pattern, path. A pattern with "!" takes the file back in.
    fields = ran.stdout.split("\0")
    found = zip(*(fields[start::4] for start in range(4)), strict=False)
    return [
        Ignored(path, f"{source}, line {line}: {pattern}")
        for source, line, pattern, path in found
        if not pattern.startswith("!")
    ]


def ignored_by_vercel(root: Path, paths: Iterable[str]) -> list[Ignored]:
    """Return the paths that `vercel deploy` would not upload, as the project's `.vercelignore` tells."""
    return list(_ignored_by_file(root / ".vercelignore", paths))


def _ignored_by_file(file: Path, paths: Iterable[str]) -> Iterator[Ignored]:
    try:
        text = file.read_text(errors="replace")
    except OSError:  # there is none
        return
    for path in paths:
        if found := matching_rule(text, path):
            line, pattern = found
            yield Ignored(path, f"{file.name}, line {line}: {pattern}")


def matching_rule(rules: str, path: str) -> tuple[int, str] | None:
    r"""Return number and pattern of the line that ignores a file, or None if it is not ignored.

    Source: https://git-scm.com/docs/gitignore

    Example:
        >>> matching_rule("*.log\nlib/", "lib/kairo_metrics/errors.py")
        (2, 'lib/')
        >>> matching_rule("lib/\n!/lib/", "lib/kairo_metrics/errors.py") is None
        True
    """
    lines = [line.rstrip() for line in rules.splitlines()]
    parents = [parent.as_posix() for parent in reversed(PurePosixPath(path).parents)][1:]
    # A folder that is ignored takes all that it holds with it.
    for part in (*parents, path):
        verdict = None
        for number, line in enumerate(lines, 1):
            rule = line.removeprefix("!")
            is_meant = part != path or not rule.endswith("/")
            if line and not line.startswith("#") and is_meant and _pattern(rule).fullmatch(part):
                verdict = None if line.startswith("!") else (number, line)
        if verdict:
            return verdict
    return None


def _pattern(rule: str) -> re.Pattern[str]:
    """Translate a rule into an expression for a path. A slash at its end, which means folders alone, is left out."""
    body = rule.rstrip("/").removeprefix("./")
    anchored = "/" in body
    body = body.removeprefix("/")
    translated = "" if anchored else "(?:.*/)?"
    at = 0
    for found in re.finditer(r"\*\*/|/\*\*|\*|\?|\[(!?)(\]?[^\]]*)\]|\\(.)", body):
        translated += re.escape(body[at : found.start()]) + _translated(found)
        at = found.end()
    return re.compile(translated + re.escape(body[at:]), re.DOTALL)


def _translated(found: re.Match[str]) -> str:
    match found[0]:
        case "**/":
            return "(?:.*/)?"
        case "/**":
            return "/.+"
        case "*":
            return "[^/]*"
        case "?":
            return "[^/]"
    if found[3]:
        return re.escape(found[3])
    characters = found[2].replace("\\", "\\\\").replace("[", "\\[")
    return f"[{'^' if found[1] else ''}{characters}]"
