"""Lay out the pages of the site: each at its path in the repository, so that links work here and on GitHub.

A link to a file that is no page, such as a manifest or a test, leads to a page that shows the file. A link to a folder
leads to a page that lists it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["lay_out", "pages_of", "tracked"]

_REPOSITORY = Path(__file__).parents[2]

# The target of a Markdown link, or of an HTML attribute, without its anchor.
_LINK = re.compile(r"""(\]\(|(?:src|srcset|href)=")(?![a-z]+:|#)([^)"\s#]+)""")
_BLOCK = re.compile(r"(^ *(?:```|~~~).*?^ *(?:```|~~~) *$)", re.MULTILINE | re.DOTALL)
_IMAGES = {".png", ".svg"}
_LANGUAGES = {
    ".alloy": "hcl",
    ".json": "json",
    ".py": "python",
    ".service": "ini",
    ".tf": "hcl",
    ".yaml": "yaml",
    ".yml": "yaml",
}


def pages_of(config: Mapping[str, Any]) -> list[str]:
    """Return the pages of a site's navigation, in its order.

    Args:
        config: the content of `zensical.toml`.

    Example:
        >>> pages_of({"project": {"nav": [{"Home": "README.md"}, {"Start": ["docs/start.md"]}]}})
        ['README.md', 'docs/start.md']
    """
    return list(_leaves(config["project"]["nav"]))


def _leaves(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    else:
        for part in entry.values() if isinstance(entry, dict) else entry:
            yield from _leaves(part)


def tracked(root: Path, folder: str) -> list[str]:
    """Return the files of a folder that git tracks.

    Args:
        root: the repository.
        folder: its path there.
    """
    command = ["git", "ls-files", "-z", folder]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)  # noqa: S603
    return listed.stdout.split("\0")[:-1]


def lay_out(root: Path, pages: list[str], folder: Path) -> None:
    """Write pages, and the files that they link to, into a folder, which is emptied first.

    Args:
        root: the repository.
        pages: their paths there.
        folder: where to.

    Raises:
        FileNotFoundError: a page, or the target of a link, does not exist.
        LookupError: a link leads to a Markdown file that is not among the pages.
    """
    shutil.rmtree(folder, ignore_errors=True)
    layout = _Layout(root, pages)
    while layout.waiting:
        name = layout.waiting.pop()
        goal = folder / layout.place_of(name)
        if goal.exists():
            continue
        goal.parent.mkdir(parents=True, exist_ok=True)
        if goal.suffix in _IMAGES:
            shutil.copyfile(root / name, goal)
        else:
            goal.write_text(layout.text_of(name))


class _Layout:
    """The files that are still to be written, and what they become."""

    def __init__(self, root: Path, pages: list[str]) -> None:
        self.root = root
        self.pages = set(pages)
        self.waiting = list(pages)

    def place_of(self, name: str) -> str:
        """Return the path of a file or folder in the site."""
        path = self.root / name
        if path.is_dir():
            return f"{name}/README.md"
        return name if path.suffix in {".md", *_IMAGES} else f"{name}.md"

    def text_of(self, name: str) -> str:
        """Return the text of the page that shows a file or folder."""
        path = self.root / name
        if path.is_dir():
            files = (file.removeprefix(f"{name}/") for file in tracked(self.root, name))
            # The generator leaves out what is hidden.
            listed = "".join(f"- [{file}]({file})\n" for file in files if not Path(file).name.startswith("."))
            return self.linked(f"# {name}\n\n{listed}", f"{name}/README.md")
        if path.suffix == ".md":
            return self.linked(path.read_text(), name)
        return f"# {name}\n\n````{_LANGUAGES.get(path.suffix, 'text')}\n{path.read_text()}````\n"

    def linked(self, text: str, page: str) -> str:
        """Return a page's text with the links that the site needs; what they lead to is written, too."""
        parts = _BLOCK.split(text)  # the blocks are at the odd places
        parts[::2] = [_LINK.sub(lambda link: link[1] + self.target(link[2], page), part) for part in parts[::2]]
        return "".join(parts)

    def target(self, target: str, page: str) -> str:
        """Return the target of a link as the site needs it."""
        path = (self.root / page).parent.joinpath(target).resolve()
        if not path.exists() or not path.is_relative_to(self.root):
            raise FileNotFoundError(f"{page}: the link to {target} leads nowhere")
        name = path.relative_to(self.root).as_posix()
        place = self.place_of(name)
        if path.suffix == ".md" and name not in self.pages:
            raise LookupError(f"{page}: the link to {target} leads to a page that the nav does not have")
        self.waiting.append(place if place in self.pages else name)
        return target.rstrip("/") + place.removeprefix(name)


if __name__ == "__main__":
    lay_out(
        _REPOSITORY,
        pages_of(tomllib.loads((_REPOSITORY / "zensical.toml").read_text())),
        _REPOSITORY / "build" / "site" / "pages",
    )
