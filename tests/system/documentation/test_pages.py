"""The documentation site: its navigation, its links, and what `make docs` builds."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from docs.site.pages import lay_out, pages_of, tracked
from lib import kairo_metrics
from lib.kairo_metrics import testing
from tests.support.dev_server import REPOSITORY

CONFIG = tomllib.loads((REPOSITORY / "zensical.toml").read_text())
PAGES = pages_of(CONFIG)
# About files that came from elsewhere.
NO_PAGES = {
    "lib/kairo_metrics/dev/dashboard/viewer/vendor/README.md",
    "tests/deployment/hosts/operator_schemas/README.md",
}


def test_the_navigation_holds_every_page_once() -> None:
    """Whoever adds a page says where a reader finds it."""
    pages = {file for file in tracked(REPOSITORY, ".") if file.endswith(".md")} - NO_PAGES
    assert Counter(PAGES) == Counter(pages)


def test_every_page_begins_with_its_title() -> None:
    """The navigation shows the first heading of each page."""
    assert [page for page in PAGES if not re.match(r"# \S", (REPOSITORY / page).read_text())] == []


def test_the_api_reference_has_every_public_name() -> None:
    """What can be imported is in the reference, from its docstring."""
    shown = re.findall(r"^::: lib\.kairo_metrics\.(\S+)$", (REPOSITORY / "docs/site/api.md").read_text(), re.MULTILINE)
    assert Counter(shown) == Counter([*kairo_metrics.__all__, *(f"testing.{name}" for name in testing.__all__)])


def test_a_link_to_a_file_leads_to_a_page_that_shows_it(tmp_path: Path) -> None:
    """The site has the manifests, programs and pictures that its pages link to, each at its path."""
    lay_out(REPOSITORY, PAGES, tmp_path)
    assert "](../deploy/grafana-cloud/main.tf.md)" in (tmp_path / "docs/grafana-cloud.md").read_text()
    shown = (tmp_path / "deploy/grafana-cloud/main.tf.md").read_text()
    assert (REPOSITORY / "deploy/grafana-cloud/main.tf").read_text() in shown
    assert "](../../grafana/README.md)" in (tmp_path / "deploy/kubernetes/README.md").read_text()
    assert "- [api/quotes.py](api/quotes.py.md)" in (tmp_path / "examples/fastapi/README.md").read_text()
    picture = "docs/img/architecture.svg"
    assert (tmp_path / picture).read_bytes() == (REPOSITORY / picture).read_bytes()


def test_a_link_that_leads_nowhere_ends_the_build(tmp_path: Path) -> None:
    """The error names the page and the link: a file that is missing, or is outside of the repository."""
    root = tmp_path / "repository"
    root.mkdir()
    (tmp_path / "other.txt").write_text("no part of the repository")
    for target in ("nowhere.md", "../other.txt"):
        (root / "page.md").write_text(f"# Page\n\n[here]({target})\n")
        with pytest.raises(FileNotFoundError, match=rf"page.md: the link to {re.escape(target)} leads nowhere"):
            lay_out(root, ["page.md"], tmp_path / "site")


def test_a_page_that_the_navigation_lacks_ends_the_build(tmp_path: Path) -> None:
    """Otherwise a reader gets to a page that no menu shows; what a block of code shows is no link."""
    (tmp_path / "page.md").write_text("# Page\n\n```markdown\n[there](nowhere.md)\n```\n")
    (tmp_path / "other.md").write_text("# Other\n")
    lay_out(tmp_path, ["page.md"], tmp_path / "site")
    (tmp_path / "page.md").write_text("# Page\n\n[here](other.md)\n")
    with pytest.raises(LookupError, match=r"page.md: the link to other.md leads to a page that the nav"):
        lay_out(tmp_path, ["page.md"], tmp_path / "site")
