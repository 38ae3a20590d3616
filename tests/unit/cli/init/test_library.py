"""How a project gets the package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from lib.kairo_metrics.cli.init.library import find_library

RUNS = "kairo_metrics.cli.init.library"


def package_in(folder: Path) -> Path:
    """Make a folder that looks like the package."""
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    return folder


def installed(site: Path, origin: Mapping[str, object] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a folder in which the package is installed from somewhere."""
    about = site / "kairo_metrics-0.1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: kairo-metrics\nVersion: 0.1.0\n")
    if origin is not None:
        (about / "direct_url.json").write_text(json.dumps(origin))
    monkeypatch.syspath_prepend(str(site))


@pytest.mark.parametrize("folder", ["lib/kairo_metrics", "app/vendor/kairo_metrics", "kairo_metrics"])
def test_a_copied_folder_has_the_name_of_its_path(tmp_path: Path, folder: str) -> None:
    """Wherever the project has copied it, the line that init writes imports it from there."""
    found = find_library(tmp_path, package_in(tmp_path / folder), "anything")
    assert (found.module, found.copy, found.requirement) == (folder.replace("/", "."), False, "")


def test_a_folder_that_is_there_already_is_used(tmp_path: Path) -> None:
    """Also if init runs from a clone."""
    package_in(tmp_path / "shop" / "lib" / "kairo_metrics")
    found = find_library(tmp_path / "shop", package_in(tmp_path / "clone/lib/kairo_metrics"), "lib.kairo_metrics.cli")
    assert (found.module, found.copy) == ("lib.kairo_metrics", False)


def test_from_a_clone_it_is_copied(tmp_path: Path) -> None:
    """A project without it gets the folder."""
    found = find_library(tmp_path / "shop", package_in(tmp_path / "clone/lib/kairo_metrics"), "lib.kairo_metrics.cli")
    assert (found.module, found.copy) == ("lib.kairo_metrics", True)


@pytest.mark.parametrize(
    ("file", "module"),
    [
        ("lib/__init__.py", "lib.kairo_metrics"),
        ("lib/db.py", "lib.kairo_metrics"),
        ("lib.py", "vendor.kairo_metrics"),
        ("lib", "vendor.kairo_metrics"),
        ("src/lib/__init__.py", "vendor.kairo_metrics"),
        ("src/lib.py", "vendor.kairo_metrics"),
        ("other/lib.py", "lib.kairo_metrics"),
    ],
)
def test_the_folder_is_one_that_the_project_does_not_hide(tmp_path: Path, file: str, module: str) -> None:
    """With a module `lib` of the project's own, `import lib.kairo_metrics` would fail, and with it the app."""
    shop, clone = tmp_path / "shop", package_in(tmp_path / "clone/lib/kairo_metrics")
    (shop / file).parent.mkdir(parents=True)
    (shop / file).touch()
    found = find_library(shop, clone, "lib.kairo_metrics.cli", beside=[shop, shop / "src"])
    assert (found.module, found.copy) == (module, True)
    package_in(shop / found.folder)
    assert find_library(shop, clone, "lib.kairo_metrics.cli").module == module


def test_a_git_address_is_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line names the commit that is installed here."""
    vcs = {"vcs": "git", "commit_id": "abc"}
    origin = {"url": "https://git.example/kairo", "vcs_info": vcs, "subdirectory": "lib"}
    installed(tmp_path / "site", origin, monkeypatch)
    package = package_in(tmp_path / ".venv/lib/python3.12/site-packages/kairo_metrics")
    found = find_library(tmp_path, package, RUNS)
    assert (found.module, found.wheel) == ("kairo_metrics", None)
    assert found.requirement == "kairo-metrics @ git+https://git.example/kairo@abc#subdirectory=lib"


def test_a_wheel_goes_into_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line names a path in the project, for that is all that a host has."""
    wheel = tmp_path / "my dist" / "kairo_metrics-0.1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.touch()
    installed(tmp_path / "site", {"url": wheel.as_uri(), "archive_info": {}}, monkeypatch)
    found = find_library(tmp_path / "shop", tmp_path / "site/kairo_metrics", RUNS)
    assert (found.requirement, found.wheel) == (f"./wheels/{wheel.name}", wheel)
    assert found.files == [Path("wheels", wheel.name)]
    # A wheel that is in the project already stays where it is.
    found = find_library(tmp_path, tmp_path / ".venv/kairo_metrics", RUNS)
    assert (found.requirement, found.wheel) == (f"./my dist/{wheel.name}", None)


@pytest.mark.parametrize("origin", [None, {"url": "file:///gone.whl"}, {"url": "file:///src", "dir_info": {}}])
def test_an_unknown_origin_is_left_to_the_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: dict[str, object] | None
) -> None:
    """No line is invented."""
    installed(tmp_path / "site", origin, monkeypatch)
    assert find_library(tmp_path / "shop", tmp_path / "site/kairo_metrics", RUNS).requirement is None
