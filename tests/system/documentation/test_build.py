"""`make docs`: the site as a reader gets it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt

from lib import kairo_metrics
from tests.support.dev_server import REPOSITORY
from tests.system.documentation.test_pages import PAGES

pytestmark = pytest.mark.long


class Parsed(HTMLParser):
    """What an HTML page links to, loads and is linked by, and how many rows, items and blocks it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.counts = dict.fromkeys(("li", "tr", "pre", "h2", "h3"), 0)
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        self.loads += [found[name] for name in ("src", "srcset") if name in found and tag != "a"]
        if tag == "link" and found.get("rel") == "stylesheet":
            self.loads.append(found["href"])
        if tag in self.counts:
            self.counts[tag] += 1


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The site, built from a copy of what it reads, as `make docs` builds it."""
    root = tmp_path_factory.mktemp("repository")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    for name in listed.stdout.split("\0")[:-1]:
        if (REPOSITORY / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / name, root / name)
    subprocess.run("git init -q . && git add -A", cwd=root, shell=True, check=True)
    subprocess.run([sys.executable, "-m", "docs.site.pages"], cwd=root, check=True)
    command = [str(Path(sys.executable).with_name("zensical")), "build", "--strict"]
    built = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    yield root / "build" / "site" / "html"
    shutil.rmtree(root)


def built(site: Path, page: str) -> Path:
    """Return the file of a page."""
    return site / re.sub(r"(^|/)README\.html$", r"\1index.html", page.removesuffix(".md") + ".html")


def article(file: Path) -> str:
    """Return the HTML of a page without what surrounds it."""
    return file.read_text().partition("<article")[2].partition("</article>")[0]


def test_every_page_is_built(site: Path) -> None:
    """Each page of the navigation is there, and in the search."""
    found = {entry["location"].partition("#")[0] for entry in json.loads((site / "search.json").read_text())["items"]}
    for page in PAGES:
        file = built(site, page)
        assert file.exists(), page
        assert file.relative_to(site).as_posix().removesuffix("index.html") in {
            name.removesuffix("index.html") for name in found
        }, page


def test_no_link_is_broken_and_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    """Links, pictures and scripts of each page lead to files of the site, and anchors to places in them."""
    parsed = {file.resolve(): Parsed(file.read_text()) for file in site.rglob("*.html") if file.name != "404.html"}
    assert len(parsed) > len(PAGES)
    broken = []
    for file, page in parsed.items():
        for link in [*page.links, *page.loads]:
            parts = urlsplit(link)
            if parts.scheme:
                assert link in page.links, f"{file}: {link} is loaded from another site"
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            target = target / "index.html" if target.is_dir() else target
            anchors = parsed[target].anchors if target in parsed else set()
            if not target.exists() or (parts.fragment and unquote(parts.fragment) not in anchors):
                broken.append(f"{file.relative_to(site.resolve())}: {link}")
    assert broken == []


def test_the_site_shows_what_github_shows(site: Path) -> None:
    """Both renderers find the same headings, items, rows and blocks in each page."""
    for page in PAGES:
        if page == "docs/site/api.md":
            continue
        here = Parsed(article(built(site, page))).counts
        there = Parsed(MarkdownIt("commonmark").enable("table").render((site.parents[2] / page).read_text())).counts
        assert here == there, page


def test_the_reference_shows_docstrings(site: Path) -> None:
    """Every public name has its docstring's first words, and the arguments as a table."""
    text = re.sub(r"<[^>]+>", "", article(built(site, "docs/site/api.md")))
    for name in kairo_metrics.__all__:
        docstring = getattr(kairo_metrics, name).__doc__
        if docstring and name != "ExemplarSource":
            words = re.sub(r"[`*]", "", docstring.split("\n")[0])[:40]
            assert words.replace("&", "&amp;") in text, name
    assert "METRICS_FLUSH_BUDGET_MS" in text
