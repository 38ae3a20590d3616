"""The page and the picture of the architecture, and the rules for rooms and modules, against the files that exist."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.deployment.platform.project import tracked
from tests.support.dev_server import REPOSITORY

PACKAGE = REPOSITORY / "lib" / "kairo_metrics"
FILES = [path for path in PACKAGE.rglob("*") if path.is_file() and path.parent.name != "__pycache__"]
MODULES = [path for path in FILES if path.suffix == ".py"]
PACKAGES = [path.parent for path in MODULES if path.name == "__init__.py"]
NO_ROOMS = {"__init__.py", "__main__.py", "py.typed"}
# What stands at the top of the package, such as "scrape" or "errors.py".
ROOMS = {path.relative_to(PACKAGE).parts[0] for path in FILES} - NO_ROOMS
MOST_ROOMS = 16
MOST_LINES = 350

PAGE = (REPOSITORY / "docs" / "architecture.md").read_text()
IN_CODE = re.findall(r"`([^`\n]+)`", PAGE)
PATHS = {code for code in IN_CODE if re.fullmatch(r"[\w.-]+/[\w./-]*|\.[a-z]+|[\w-]+\.[a-z]{2,4}", code)}
PICTURE = ET.parse(REPOSITORY / "docs" / "img" / "architecture.svg")


def job_of(module: Path) -> str:
    """Return the first line of a module's docstring; "" where there is none."""
    return (ast.get_docstring(ast.parse(module.read_text())) or "").partition("\n")[0]


def test_the_page_has_a_line_for_each_room() -> None:
    """The table names all rooms and no other, each with the job that its docstring states."""
    table = PAGE.partition("| room | its job |\n")[2].partition("\n\n")[0]
    listed = dict(re.findall(r"^\| `([\w.]+)/?` \| (.+) \|$", table, re.MULTILINE))
    modules = {room: PACKAGE / room / "__init__.py" if (PACKAGE / room).is_dir() else PACKAGE / room for room in ROOMS}
    assert listed == {room: job_of(module) for room, module in modules.items()}


def test_the_picture_has_a_box_for_each_room() -> None:
    """The picture shows all rooms and no other."""
    drawn = [text.text for text in PICTURE.iter("{http://www.w3.org/2000/svg}text") if text.get("class") == "room"]
    assert sorted(map(str, drawn)) == sorted(room.removesuffix(".py") for room in ROOMS)


def test_every_folder_with_code_is_named() -> None:
    """The page names each folder at the top of the repository that holds code, and the larger ones' folders."""
    parents = [Path(file).parent for file in tracked(REPOSITORY) if file.endswith(".py")]
    folders = {f"{parent.parts[0]}/" for parent in parents if parent.parts} - {"lib/"}
    folders |= {
        f"{parent.parts[0]}/{parent.parts[1]}/"
        for parent in parents
        if len(parent.parts) > 1 and parent.parts[0] in {"api", "benchmarks", "deploy", "lib", "tests"}
    }
    assert folders - PATHS == set()


def test_nothing_is_named_that_is_gone() -> None:
    """Every path on the page leads to a file or a folder of the repository or of the package."""
    assert len(PATHS) > len(ROOMS)
    assert {path for path in PATHS if not any((root / path).exists() for root in (REPOSITORY, PACKAGE))} == set()


def test_the_top_of_the_package_can_be_seen_at_a_glance() -> None:
    """At most 16 rooms stand at the top of the package."""
    assert len(ROOMS) <= MOST_ROOMS, sorted(ROOMS)


def test_a_name_means_one_file() -> None:
    """No two files of the package have the same name, except `__init__.py`."""
    names = Counter(path.name for path in FILES if path.name != "__init__.py")
    assert [name for name, times in names.items() if times > 1] == []


def test_a_module_is_short() -> None:
    """No module has more than 350 lines; a longer one is two modules."""
    lines = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in MODULES}
    assert {module: count for module, count in lines.items() if count > MOST_LINES} == {}


def test_a_room_states_its_job() -> None:
    """The docstring of each room, and of each room within a room, begins with a whole sentence."""
    jobs = {str(room.relative_to(PACKAGE)): job_of(room / "__init__.py") for room in PACKAGES}
    assert {room: job for room, job in jobs.items() if not re.fullmatch(r"\S+( \S+){3,}[.]", job)} == {}


def test_code_stands_in_rooms() -> None:
    """Each folder of the package with a module in it is a room with an `__init__.py`."""
    assert {module.parent for module in MODULES} == set(PACKAGES)
