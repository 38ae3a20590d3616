"""The page about the architecture, held against the folders and modules that there are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "lib" / "kairo_metrics"
PICTURE, _, TABLE = (ROOT / "docs" / "architecture.md").read_text().partition("## Where things live")
TABLE = TABLE.partition("\n## ")[0]
NAMED = {name for row in TABLE.splitlines() for name in re.findall(r"`([\w./-]+)`", row.rpartition(" | ")[0])}


def test_every_module_is_named() -> None:
    """Whoever looks for a module of the library finds its job, or that of its folder, on one page."""
    modules = {path.relative_to(LIBRARY).with_suffix("") for path in LIBRARY.rglob("[a-z]*.py")}
    drawn = set(re.findall(r"\w+", PICTURE))
    unnamed = {
        str(module)
        for module in modules
        if str(module) not in NAMED | drawn and not any(f"{folder}/" in NAMED for folder in module.parents)
    }
    assert unnamed == set()


def test_every_folder_is_named() -> None:
    """So does whoever looks for a folder with code in it."""
    tops = "api", "benchmarks", "deploy", "tests"
    scripts = [path for top in tops for depth in ("*.py", "*/*.py") for path in (ROOT / top).glob(depth)]
    folders = {str(path.parent.relative_to(ROOT)) for path in scripts}
    assert {folder for folder in folders if f"{folder}/" not in NAMED} == set()


def test_nothing_is_named_that_is_gone() -> None:
    """No row leads to a place that does not exist any more."""
    suffixes = ("", ".py")
    places = {name: [root / f"{name}{suffix}" for root in (ROOT, LIBRARY) for suffix in suffixes] for name in NAMED}
    assert {name for name, possible in places.items() if not any(path.exists() for path in possible)} == set()
