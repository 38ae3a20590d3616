"""The operator's guide, parsed: headings, blocks of code, tables and links of both languages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from tests.support.dev_server import REPOSITORY

__all__ = ["ENGLISH", "FRENCH", "GUIDES", "Block", "Guide", "anchor", "code_of"]

_FENCE = re.compile(r"^\s*(?:```|~~~)(?P<language>.*)$")
# The text of an example that differs between the languages.
_EXAMPLES = {"votre-domaine": "your-domain", "votre-equipe": "your-team", "<le secret>": "<the secret>"}


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block.

    Args:
        language: the word after the fence.
        text: the lines between the fences.
        heading: the number of the heading above it, from 0.
        number: the number of the block below that heading, from 1.
    """

    language: str
    text: str
    heading: int
    number: int


class Guide:
    """The guide in one language.

    Args:
        file: its name in `docs/`.
    """

    def __init__(self, file: str) -> None:
        self.path = REPOSITORY / "docs" / file

    def __repr__(self) -> str:
        return self.path.name

    @cached_property
    def text(self) -> str:
        """The whole text."""
        return self.path.read_text()

    @cached_property
    def prose(self) -> list[str]:
        """The lines outside of blocks, including headings."""
        return self._parsed[0]

    @cached_property
    def blocks(self) -> list[Block]:
        """The fenced blocks, in order."""
        return self._parsed[1]

    @cached_property
    def headings(self) -> list[tuple[int, str]]:
        """The level and the words of each heading."""
        found = (re.match(r"(#+) (.*)", line) for line in self.prose)
        return [(len(heading[1]), heading[2]) for heading in found if heading]

    def named(self, block: Block) -> str:
        """Return a block's name, the same in both languages: the English heading above it, and its number there."""
        return f"{anchor(ENGLISH.headings[block.heading][1])}/{block.number}"

    def block(self, name: str) -> Block:
        """Return the block with that name."""
        [found] = [block for block in self.blocks if self.named(block) == name]
        return found

    def tables(self) -> list[list[list[str]]]:
        """Return the cells of each table, row by row, without the line below its head."""
        runs = re.split(r"\n(?!\|)", "\n".join(self.prose))
        tables = [[line for line in run.splitlines() if line.startswith("|")] for run in runs]
        return [
            [re.split(r" (?<!\\)\| ", row.strip("| ")) for row in (*rows[:1], *rows[2:])] for rows in tables if rows
        ]

    def links(self) -> list[str]:
        """Return the targets of the links, in order."""
        return re.findall(r"\]\(([^)\s]+)\)", "\n".join(self.prose))

    @cached_property
    def _parsed(self) -> tuple[list[str], list[Block]]:
        prose: list[str] = []
        blocks: list[Block] = []
        inside: list[str] | None = None
        language, heading, number = "", -1, 0
        for line in self.text.splitlines():
            fence = _FENCE.match(line)
            if inside is not None and fence:
                blocks.append(Block(language, "".join(f"{inner}\n" for inner in inside), heading, number))
                inside = None
            elif inside is not None:
                inside.append(line)
            elif fence:
                inside, language, number = [], fence["language"], number + 1
            else:
                prose.append(line)
                if line.startswith("#"):
                    heading, number = heading + 1, 0
        assert inside is None, f"{self}: the last block does not end"
        return prose, blocks


ENGLISH = Guide("production.md")
FRENCH = Guide("production.fr.md")
GUIDES = (ENGLISH, FRENCH)


def anchor(heading: str) -> str:
    """Return the anchor that GitHub and GitLab generate for a heading."""
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


def code_of(block: Block) -> list[str]:
    """Return a block's lines without the parts that may differ between languages: comments, and texts of examples."""
    text = block.text
    for own, common in _EXAMPLES.items():
        text = text.replace(own, common)
    lines = (re.sub(r"(^|\s+)# .*$", "", line) for line in text.splitlines())
    return [re.sub(r"^(\s*summary): .*$", r"\1", line).rstrip() for line in lines]
