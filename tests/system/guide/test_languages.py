"""The operator's guide is the same in two languages; its links have targets, and its faults have checks."""

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

# The headings of Troubleshooting, and the smallest number of faults below each.
TROUBLES = 3


def test_both_have_the_same_headings() -> None:
    """Both have headings of the same levels, so that a reader finds a section in the other language."""
    assert [level for level, _ in ENGLISH.headings] == [level for level, _ in FRENCH.headings]


def test_both_have_the_same_code() -> None:
    """Both have the same blocks of code, except for comments and texts of examples."""
    assert len(ENGLISH.blocks) == len(FRENCH.blocks)
    for english, french in zip(ENGLISH.blocks, FRENCH.blocks, strict=True):
        assert (english.language, ENGLISH.named(english)) == (french.language, FRENCH.named(french))
        assert code_of(english) == code_of(french)


def test_both_correct_the_same_at_the_end() -> None:
    """Who knows an older version finds its faults in the last section, by section; no other reader meets them."""

    def corrected(guide: Guide) -> list[int]:
        assert not [line for line in guide.prose if line.startswith(">")]
        anchors_of = [anchor(heading) for _, heading in guide.headings]
        last = guide.text.rpartition("\n## ")[2]
        assert last.startswith(guide.headings[-1][1])
        return [anchors_of.index(place) for place in re.findall(r"^- \[[^\]]+\]\(#(\S+)\)", last, re.MULTILINE)]

    assert corrected(ENGLISH) == corrected(FRENCH) != []


def test_both_have_the_same_tables_and_lists() -> None:
    """Both have tables and lists of the same size, and as much inline code, under each heading."""
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
    """Both have the same inline code (variables, statuses, files, queries)."""

    def named(guide: Guide) -> set[str]:
        return {
            code.replace("votre-domaine", "your-domain") for code in re.findall(r"`([^`\n]+)`", "\n".join(guide.prose))
        }

    assert named(ENGLISH) ^ named(FRENCH) <= {"UP"}


def test_both_link_to_the_same_places() -> None:
    """Both have the same links to other pages."""

    def outside(guide: Guide) -> Counter[str]:
        return Counter(link for link in guide.links() if not link.startswith(("#", "production")))

    assert outside(ENGLISH) == outside(FRENCH)
    inside = [len([link for link in guide.links() if link.startswith("#")]) for guide in GUIDES]
    assert inside[0] == inside[1]
    assert FRENCH.path.name in ENGLISH.links()
    assert ENGLISH.path.name in FRENCH.links()


@pytest.mark.parametrize("guide", GUIDES, ids=str)
def test_every_link_leads_somewhere(guide: Guide) -> None:
    """Linked files exist, and so do the headings in them."""
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
    """Return the rows about faults: symptom, advice, and checks."""
    tables = [table for table in guide.tables() if table[0][-1] in {"check", "contrôle"}]
    assert len(tables) == TROUBLES
    return [row for _, *rows in tables for row in rows]


@pytest.mark.parametrize("guide", GUIDES, ids=str)
def test_every_trouble_leads_to_checks_of_doctor(guide: Guide) -> None:
    """Each row names checks of `doctor`, and each check of `doctor` is in a row."""
    named = [re.findall(r"`([^`]+)`", row[-1]) for row in troubles(guide)]
    assert all(named)
    assert {check for checks in named for check in checks} == CHECKS.keys()


def test_troubles_lead_to_the_same_checks_in_both() -> None:
    """Both languages name the same checks in each row."""
    assert [row[-1] for row in troubles(ENGLISH)] == [row[-1] for row in troubles(FRENCH)]


def test_troubles_agree_with_doctors_own_page() -> None:
    """Faults that the guide and docs/doctor.md both list have the same checks."""
    page = (REPOSITORY / "docs" / "doctor.md").read_text()
    pairs = re.findall(r"^\| (.+?) (?<!\\)\| (`.+) \|$", page, re.MULTILINE)
    known = {seen: set(re.findall(r"`([^`]+)`", checks)) for seen, checks in pairs}
    both = [row for row in troubles(ENGLISH) if row[0] in known]
    assert len(both) >= 4
    for seen, _, checks in both:
        assert set(re.findall(r"`([^`]+)`", checks)) <= known[seen], seen


@pytest.mark.parametrize("guide", GUIDES, ids=str)
def test_the_quotes_of_the_guide_are_in_the_program(guide: Guide) -> None:
    """The program has the very messages that the guide quotes."""
    sources = "\n".join(file.read_text() for file in (REPOSITORY / "lib" / "kairo_metrics").rglob("*.py"))
    messages = re.sub(r'"\s*\n\s*f?"', "", sources)  # a message may be split over two lines
    prose = "\n".join(guide.prose)
    quoted = [*re.findall(r"\d{3} `([^`]+)`", prose), *re.findall(r"`([a-z ]*metrics [a-z ]+)`", prose)]
    assert len(quoted) >= 7
    for words in quoted:
        # After "from" the message has the service, which differs.
        assert words.partition(" AWS")[0] in messages, words


@pytest.mark.parametrize("guide", GUIDES, ids=str)
def test_versions_are_those_of_the_project(guide: Guide) -> None:
    """The guide names the Prometheus of the install script and the Grafana of the compose file."""
    [version] = re.findall(r"PROMETHEUS_VERSION:-([\d.]+)", SCRIPT.read_text())
    assert f"VERSION={version}\n" in guide.block("1-install-prometheus/1").text
    image = yaml.safe_load(COMPOSE_FILE.read_text())["services"]["grafana"]["image"]
    assert guide.block("1-install-grafana/1").text.endswith(f"  {image.partition('@')[0]}\n")


@pytest.mark.parametrize("guide", GUIDES, ids=str)
def test_the_readme_leads_to_the_guide(guide: Guide) -> None:
    """The README links to both languages."""
    assert f"(docs/{guide.path.name})" in (REPOSITORY / "README.md").read_text().partition("\n## More\n")[2]
