"""The lines that a project's list of packages lacks."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from lib.kairo_metrics.cli.init.requirements import required_lines
from lib.kairo_metrics.cli.store_access import CommandError

NEEDED = ("prometheus-client", "redis", "starlette")


def after(root: Path, files: dict[str, str], needed: tuple[str, ...] = NEEDED) -> tuple[dict[str, str], str]:
    """Return the changed files, and what is left to be done by hand."""
    for name, text in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(text.encode())
    found = required_lines(root, Path(), needed)
    assert all(before == files.get(path.as_posix()) for path, before, _ in found.edits)
    return {path.as_posix(): text for path, _, text in found.edits}, "; ".join(found.by_hand)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("flask\n", "flask\nprometheus-client\nredis\nstarlette\n"),
        ("fastapi", "fastapi\nprometheus-client\nredis\n"),
        ("Redis[x]>=5  # cache\r\n", "Redis[x]>=5  # cache\r\nprometheus-client\r\nstarlette\r\n"),
        ("-r base.txt\n# redis\nprometheus_client\n", "-r base.txt\n# redis\nprometheus_client\nredis\nstarlette\n"),
    ],
)
def test_lines_are_added_at_the_end(tmp_path: Path, before: str, expected: str) -> None:
    """Names are compared as pip does; what another package brings with it is not added."""
    assert after(tmp_path, {"requirements.txt": before}) == ({"requirements.txt": expected}, "")
    (tmp_path / "requirements.txt").write_bytes(expected.encode())
    assert required_lines(tmp_path, Path(), NEEDED).edits == ()


def test_a_project_without_a_list_gets_one(tmp_path: Path) -> None:
    """A handler class needs no packages before."""
    assert after(tmp_path, {}) == ({"requirements.txt": "prometheus-client\nredis\nstarlette\n"}, "")


@pytest.mark.parametrize(
    "line",
    [
        "./wheels/kairo_metrics-0.1.0-py3-none-any.whl",
        "kairo-metrics @ git+https://git.example/kairo@abc#subdirectory=lib",
        "git+https://git.example/kairo#egg=kairo-metrics&subdirectory=lib",
    ],
)
def test_the_package_itself_is_found_in_each_form(tmp_path: Path, line: str) -> None:
    """A wheel and a git address are not added twice."""
    wheel = "./wheels/kairo_metrics-0.2.0-py3-none-any.whl"
    assert after(tmp_path, {"requirements.txt": f"flask\n{line}\n"}, (wheel,)) == ({}, "")


def test_what_the_list_is_compiled_from_is_changed_too(tmp_path: Path) -> None:
    """Otherwise the next run of the compiler would drop the lines."""
    files = {"requirements.in": "fastapi\n", "requirements.txt": "fastapi==0.130\nstarlette==1.0\n"}
    changed, by_hand = after(tmp_path, files)
    assert changed == {
        "requirements.in": "fastapi\nprometheus-client\nredis\n",
        "requirements.txt": "fastapi==0.130\nstarlette==1.0\nprometheus-client\nredis\n",
    }
    assert by_hand == ""


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"requirements.in": "flask\n"}, ["requirements.in"]),
        ({"requirements/prod.txt": "flask\n"}, ["requirements/prod.txt"]),
        ({"requirements.frozen.txt": "flask==3\n"}, ["requirements.frozen.txt"]),
        ({"requirements-frozen.txt": "flask==3\n", "requirements.txt": "flask\n"}, None),
        ({"requirements.txt": "-r requirements/prod.txt\n", "requirements/prod.txt": "redis\n"}, ["requirements.txt"]),
    ],
)
def test_the_list_that_is_there_is_the_one_that_gets_lines(
    tmp_path: Path, files: dict[str, str], expected: list[str] | None
) -> None:
    """Vercel installs the first that it finds, so another one beside it would hide it, or be hidden."""
    changed, by_hand = after(tmp_path, files)
    assert (list(changed), by_hand) == (expected or list(files), "")
    added = {text.removeprefix(files[name]) for name, text in changed.items()}
    assert added == {"prometheus-client\nstarlette\n" if "redis\n" in files.values() else "\n".join((*NEEDED, ""))}
    assert after(tmp_path, changed) == ({}, "")


def test_lists_that_include_each_other_are_read_once(tmp_path: Path) -> None:
    """A circle is pip's error to tell."""
    changed, _ = after(
        tmp_path, {"requirements.txt": "-r base.txt\nredis\n", "base.txt": "--requirement=requirements.txt\n"}
    )
    assert changed["requirements.txt"].endswith("redis\nprometheus-client\nstarlette\n")


def test_dependencies_that_are_dynamic(tmp_path: Path) -> None:
    """A list beside them would make the file invalid; they are often those of requirements.txt."""
    text = '[project]\nname = "x"\nversion = "1"\ndynamic = ["dependencies"]\n'
    changed, by_hand = after(tmp_path, {"pyproject.toml": text})
    assert changed == {}
    assert (
        by_hand == "add to your dependencies, which pyproject.toml has as dynamic: prometheus-client, redis, starlette"
    )
    changed, by_hand = after(tmp_path, {"pyproject.toml": text, "requirements.txt": "flask\n"})
    assert (list(changed), by_hand) == (["requirements.txt"], "")


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (
            {"requirements.txt": "redis==4.6.0  # old\nprometheus_client>=0.20\n"},
            "redis==4.6.0  # old: redis>=5 is needed",
        ),
        ({"requirements.txt": "-r base.txt\n", "base.txt": "redis<5\n"}, "redis<5: redis>=5 is needed"),
        ({"pyproject.toml": '[project]\nname="x"\ndependencies=["starlette~=0.37.2"]\n'}, "starlette>=0.40 is needed"),
        ({"pyproject.toml": '[tool.poetry.dependencies]\nredis = "^4.0"\n'}, "redis ^4.0: redis>=5 is needed"),
        ({"Pipfile": '[packages]\nredis = {version = "==4.*"}\n'}, "redis ==4.*: redis>=5 is needed"),
        ({"requirements.txt": "redis>=4\n"}, ""),
    ],
)
def test_a_version_that_is_too_old_is_named(tmp_path: Path, files: dict[str, str], told: str) -> None:
    """The app would fail where it is deployed, and not before."""
    after(tmp_path, files)
    old = required_lines(tmp_path, Path(), NEEDED).old
    assert len(old) == bool(told)
    assert "".join(old).endswith(told)


def test_a_list_with_hashes_is_not_broken(tmp_path: Path) -> None:
    """A line without a hash would be refused beside the others."""
    changed, by_hand = after(tmp_path, {"requirements.txt": "flask==3 --hash=sha256:00\n"})
    assert changed == {}
    assert "requirements.txt has hashes: add these lines to what it is compiled from" in by_hand


@pytest.mark.parametrize(
    "text",
    [
        '[project]\nname = "x"\nversion = "1"\ndependencies = ["flask"]\n',
        '[project]\nname = "x"\ndependencies = [\n    "flask",  # [web]\n    "redis[hiredis]"\n]\n[tool.x]\ny = 1\n',
        "[project]\nname = 'x'\ndependencies = [\n  'flask', ]\n",
        '[project]\nname = "x"\ndependencies = []\n',
        '[tool.ruff]\nline-length = 100\n\n[project]\r\nname = "x"\r\n',
    ],
)
def test_a_pyproject_gets_dependencies(tmp_path: Path, text: str) -> None:
    """Vercel reads it instead of requirements.txt; comments and order stay."""
    changed, by_hand = after(tmp_path, {"pyproject.toml": text, "requirements.txt": "flask\n"})
    assert (list(changed), by_hand) == (["pyproject.toml"], "")
    old, new = tomllib.loads(text), tomllib.loads(changed["pyproject.toml"])
    present = old["project"].get("dependencies", [])
    missing = [name for name in NEEDED if not any(name in line for line in present)]
    assert new == {**old, "project": {**old["project"], "dependencies": [*present, *missing]}}
    assert all(line.strip().rstrip("], ") in changed["pyproject.toml"] for line in text.splitlines())
    assert after(tmp_path, {"pyproject.toml": changed["pyproject.toml"]}) == ({}, "")


def test_a_pyproject_that_has_no_plain_list_is_left_alone(tmp_path: Path) -> None:
    """The owner is told what to add."""
    text = 'project = {name = "x", dependencies = ["flask"]}\n'
    changed, by_hand = after(tmp_path, {"pyproject.toml": text})
    assert (changed, by_hand) == (
        {},
        "add to dependencies in pyproject.toml: prometheus-client, redis, starlette",
    )


def test_other_tools_get_their_command(tmp_path: Path) -> None:
    """Poetry and Pipenv keep lists of their own."""
    poetry = '[tool.poetry.dependencies]\npython = "^3.12"\nredis = "^5"\n'
    assert after(tmp_path, {"pyproject.toml": poetry}) == ({}, "poetry add prometheus-client starlette")
    (tmp_path / "pyproject.toml").unlink()
    assert after(tmp_path, {"Pipfile": '[packages]\nfastapi = "*"\n'}) == ({}, "pipenv install prometheus-client redis")


def test_a_broken_pyproject_is_named(tmp_path: Path) -> None:
    """The error says which file to correct."""
    with pytest.raises(CommandError, match=r"pyproject\.toml is not valid TOML: .*; correct it first"):
        after(tmp_path, {"pyproject.toml": "[project\n"})
