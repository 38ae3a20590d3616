"""The operator's guide is one guide in two languages, its links lead somewhere, and its troubles to checks."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from lib.kairo_metrics.cli.doctor.finding import CHECKS
from tests.deployment.hosts.compose import COMPOSE_FILE
from tests.deployment.scrapers.installation import SCRIPT
from tests.support.dev_server import REPOSITORY
from tests.system.guide.pages import ENGLISH, FRENCH, GUIDES, Guide, anchor, code_of

# Of the headings of Troubleshooting, and how many troubles each lists at least.
TROUBLES = 3


def test_both_have_the_same_headings() -> None:
    """Section by section they have the same depth, so that who reads one finds the place in the other."""
    assert [level for level, _ in ENGLISH.headings] == [level for level, _ in FRENCH.headings]


def test_both_have_the_same_code() -> None:
    """Block by block they have the same code, up to comments and the text of examples."""
    assert len(ENGLISH.blocks) == len(FRENCH.blocks)
    for english, french in zip(ENGLISH.blocks, FRENCH.blocks, strict=True):
        assert (english.language, ENGLISH.named(english)) == (french.language, FRENCH.named(french))
        assert code_of(english) == code_of(french)


def test_both_correct_the_same() -> None:
    """Below the same headings they say what was wrong in older versions."""

    def corrections(guide: Guide) -> list[int]:
        heading, found = -1, []
        for line in guide.prose:
            heading += line.startswith("#")
            if re.match(rf"> \*\*{guide.corrected} ?:\*\*", line):
                found.append(heading)
        return found

    assert corrections(ENGLISH) == corrections(FRENCH) != []
    assert FRENCH.text.count(f"**{FRENCH.corrected} :**") == ENGLISH.text.count(f"**{ENGLISH.corrected}:**")


def test_both_have_the_same_tables_and_lists() -> None:
    """They have tables of the same size, and as many points of a list and words of code under each heading."""
    assert [[len(row) for row in table] for table in ENGLISH.tables()] == [
        [len(row) for row in table] for table in FRENCH.tables()
    ]

    def shape(guide: Guide) -> list[Counter[str]]:
        sections: list[Counter[str]] = [Counter()]
        for line in guide.prose:
            if line.startswith("#"):
                sections.append(Counter())
            sections[-1].update(re.findall(r"^(?:> )?(-|\d\.) ", line))
        return sections

    assert shape(ENGLISH) == shape(FRENCH)


def test_both_name_the_same_things() -> None:
    """What stands in code outside of blocks (variables, statuses, files, queries) is the same, however it is told."""

    def named(guide: Guide) -> set[str]:
        return {
            code.replace("votre-domaine", "your-domain") for code in re.findall(r"`([^`\n]+)`", "\n".join(guide.prose))
        }

    assert named(ENGLISH) ^ named(FRENCH) <= {"UP"}


def test_both_link_to_the_same_places() -> None:
    """Every source and every page of detail is in both."""

    def outside(guide: Guide) -> Counter[str]:
        return Counter(link for link in guide.links() if not link.startswith(("#", "production")))

    assert outside(ENGLISH) == outside(FRENCH)
    inside = [len([link for link in guide.links() if link.startswith("#")]) for guide in GUIDES]
    assert inside[0] == inside[1]
    assert FRENCH.path.name in ENGLISH.links()
    assert ENGLISH.path.name in FRENCH.links()


@pytest.mark.parametrize("guide", GUIDES, ids=str)
def test_every_link_leads_somewhere(guide: Guide) -> None:
    """Files exist, and so do the headings in them."""
    for link in guide.links():
        if link.startswith("https://"):
            continue
        file, _, place = link.partition("#")
        target = (guide.path.parent / file).resolve() if file else guide.path
        assert target.exists(), link
        assert target.is_relative_to(REPOSITORY), link
        assert not place or place in anchors(target), link


def anchors(file: Path) -> set[str]:
    """Return the anchors of a document's headings."""
    text = re.sub(r"(?ms)^```.*?^```$", "", file.read_text())
    return {anchor(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


def troubles(guide: Guide) -> list[list[str]]:
    """Return the rows about what can go wrong: what one sees, what to do, and the checks."""
    tables = [table for table in guide.tables() if table[0][-1] in {"check", "contrôle"}]
    assert len(tables) == TROUBLES
    return [row for _, *rows in tables for row in rows]


@pytest.mark.parametrize("guide", GUIDES, ids=str)
def test_every_trouble_leads_to_checks_of_doctor(guide: Guide) -> None:
    """Each row names checks that `doctor` makes, and each check of `doctor` is named in some row."""
    named = [re.findall(r"`([^`]+)`", row[-1]) for row in troubles(guide)]
    assert all(named)
    assert {check for checks in named for check in checks} == CHECKS.keys()


def test_troubles_lead_to_the_same_checks_in_both() -> None:
    """Row by row the checks are the same."""
    assert [row[-1] for row in troubles(ENGLISH)] == [row[-1] for row in troubles(FRENCH)]


def test_troubles_agree_with_doctors_own_page() -> None:
    """What the guide and docs/doctor.md both list leads to checks that both name."""
    page = (REPOSITORY / "docs" / "doctor.md").read_text()
    pairs = re.findall(r"^\| (.+?) (?<!\\)\| (`.+) \|$", page, re.MULTILINE)
    known = {seen: set(re.findall(r"`([^`]+)`", checks)) for seen, checks in pairs}
    both = [row for row in troubles(ENGLISH) if row[0] in known]
    assert len(both) >= 4
    for seen, _, checks in both:
        assert set(re.findall(r"`([^`]+)`", checks)) <= known[seen], seen


@pytest.mark.parametrize("guide", GUIDES, ids=str)
def test_what_the_guide_quotes_is_said(guide: Guide) -> None:
    """The program says the very words that the guide tells to look for."""
    sources = "\n".join(file.read_text() for file in (REPOSITORY / "lib" / "kairo_metrics").rglob("*.py"))
    said = re.sub(r'"\s*\n\s*f?"', "", sources)  # a sentence may be written over two lines
    prose = "\n".join(guide.prose)
    quoted = [*re.findall(r"\d{3} `([^`]+)`", prose), *re.findall(r"`([a-z ]*metrics [a-z ]+)`", prose)]
    assert len(quoted) >= 7
    for words in quoted:
        # Behind "from" stands the service, which is not part of the sentence.
        assert words.partition(" AWS")[0] in said, words


@pytest.mark.parametrize("guide", GUIDES, ids=str)
def test_versions_are_those_of_the_project(guide: Guide) -> None:
    """The guide downloads the Prometheus of the install script, and the Grafana of the compose file."""
    [version] = re.findall(r"PROMETHEUS_VERSION:-([\d.]+)", SCRIPT.read_text())
    assert f"VERSION={version}\n" in guide.block("1-install-prometheus/1").text
    image = yaml.safe_load(COMPOSE_FILE.read_text())["services"]["grafana"]["image"]
    assert guide.block("1-install-grafana/1").text.endswith(f"  {image}\n")


@pytest.mark.parametrize("guide", GUIDES, ids=str)
def test_the_readme_leads_to_the_guide(guide: Guide) -> None:
    """Both languages are found from the README."""
    assert f"(docs/{guide.path.name})" in (REPOSITORY / "README.md").read_text().partition("\n## More\n")[2]
