"""What CONTRIBUTING and the page of the data model say is true, and each link of a page leads somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.dev_server import REPOSITORY

CONTRIBUTING = (REPOSITORY / "CONTRIBUTING.md").read_text()
DATA_MODEL = (REPOSITORY / "docs" / "data-model.md").read_text()
PAGES = sorted(
    page
    for page in REPOSITORY.rglob("*.md")
    if not any(re.match(r"\.|(node_modules|build|dist)$", part) for part in page.relative_to(REPOSITORY).parts)
)
_FEW_LINES, _MANY_BLOCKS = 3, 20
# What the README leads a newcomer to.
GUIDES = {
    "docs/your-project.md",
    "docs/options.md",
    "docs/migrating.md",
    "docs/testing-your-app.md",
    "docs/entrypoints.md",
    "docs/databases-and-clients.md",
    "examples/README.md",
}


def lines_of(text: str) -> list[str]:
    """Return the lines without what differs from run to run: times, random ids, and the shard that was drawn."""
    text = re.sub(r"\b\d{13}\b", "<ms>", text)
    text = re.sub(r"(?<=instance_id=\")\w{16}|(?<=writer:)\w{16}|\b\w{16}(?=-<ms>)", "<id>", text)
    return re.sub(r"/\d}", "/0}", text).splitlines()


def test_the_data_model_is_what_a_flush_writes() -> None:
    """Each key and line that the page shows is in a real Redis after one of each kind was counted."""
    command = [sys.executable, "-m", "tests.support.stored_state"]
    printed = lines_of(subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout)
    shown = [line for block in re.findall(r"```text\n(.*?)```", DATA_MODEL, re.DOTALL) for line in lines_of(block)]
    assert len(shown) > 20
    assert [line for line in shown if line not in printed] == []
    assert {line for line in printed if ":series:" in line and ":kairo_" not in line} <= set(shown)


def test_every_named_file_exists() -> None:
    """Every path in CONTRIBUTING leads to a file or a folder of the repository or of the package."""
    paths = re.findall(r"`([\w.-]+/[\w./-]*)`", CONTRIBUTING)
    roots = (REPOSITORY, REPOSITORY / "lib" / "kairo_metrics", REPOSITORY / "tests" / "faults")
    assert len(paths) > 20
    assert {path for path in paths if not any((root / path).exists() for root in roots)} - {"build/coverage/"} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """The file or folder of each relative link exists, and so does the heading behind its `#`."""
    broken = []
    for target in links_of(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors_of(file)):
            broken.append(target)
    assert broken == []


def test_code_that_is_copied_from_a_page_knows_its_names(tmp_path: Path) -> None:
    """A block of Python that imports something imports or defines all that it uses; shorter ones are single lines."""
    for page in PAGES:
        text = page.read_text()
        for block in re.finditer(r"^( *)```python\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE):
            line = text.count("\n", 0, block.start()) + 1
            name = f"{page.relative_to(REPOSITORY).as_posix().replace('/', '_')}_{line}.py"
            code = textwrap.dedent(block[2])
            if re.search(r"^(import|from) ", code, re.MULTILINE):
                (tmp_path / name).write_text(code)
            else:
                assert len(code.splitlines()) <= _FEW_LINES, name
    assert len(list(tmp_path.iterdir())) > _MANY_BLOCKS
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select=F821", "--output-format=concise", "."]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_readme_leads_to_each_guide() -> None:
    """A newcomer finds init, options, moving, testing, databases and examples from the README, each before `More`."""
    before_more = (REPOSITORY / "README.md").read_text().partition("\n## More\n")[0]
    assert {target.partition("#")[0] for target in links_in(before_more)} >= GUIDES


def test_every_page_is_linked_from_another() -> None:
    """No page of docs/ can be found only by its name."""
    linked = {(page.parent / target.partition("#")[0]).resolve() for page in PAGES for target in links_of(page)}
    documents = {page for page in PAGES if page.parent == REPOSITORY / "docs"}
    assert documents - linked == set()


def links_of(page: Path) -> Iterator[str]:
    """Yield the relative links of a page, also those of its pictures."""
    return links_in(page.read_text())


def links_in(text: str) -> Iterator[str]:
    """Yield the relative links of a text, without those in blocks of code."""
    prose = without_blocks(text)
    found = re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"", prose)
    return (target for pair in found for target in pair if target and not re.match(r"[a-z]+:", target))


@cache
def anchors_of(page: Path) -> frozenset[str]:
    """Return what GitHub calls the headings of a page: small letters, no punctuation, hyphens for spaces."""
    anchors: list[str] = []
    same: Counter[str] = Counter()
    for heading in re.findall(r"^#+ (.+)$", without_blocks(page.read_text()), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-")
        anchors.append(f"{anchor}-{same[anchor]}" if same[anchor] else anchor)
        same[anchor] += 1
    return frozenset(anchors)


def without_blocks(text: str) -> str:
    """Return a text without its blocks of code."""
    return re.sub(r"^( *)(```|~~~).*?^\1\2", "", text, flags=re.DOTALL | re.MULTILINE)
