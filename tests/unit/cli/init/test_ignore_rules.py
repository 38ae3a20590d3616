"""The rules that keep files out of a deployment, compared with Git itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.kairo_metrics.cli.init.ignore_rules import ignored_by_git, ignored_by_vercel, matching_rule

PATHS = ("lib/kairo_metrics/__init__.py", "api/metrics.py", "vercel.json", "a/lib/x.py", "public/.gitkeep")
RULES = (
    *("lib", "lib/", "/lib", "/lib/", "lib/*", "lib/**", "**/lib", "**/lib/", "!lib", "!/lib/", "!lib/", "*.py"),
    *("!*.py", "/*", "!/api", "!/lib", "*", "!*/", "a/**/x.py", "api/?etrics.py", "[a-l]*", "[!a]*", "public/*"),
    *("!.gitkeep", "# lib", "", "lib ", "\\!lib", "kairo_metrics", "lib/kairo_metrics", "/*.json", "**/*.py"),
    *("a/**", "lib/*/__init__.py"),
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty repository, without excludes of this machine."""
    root = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "--quiet", root], check=True)
    subprocess.run(["git", "-C", root, "config", "core.excludesFile", "/dev/null"], check=True)
    return root


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(st.lists(st.sampled_from(RULES), max_size=5))
def test_rules_mean_what_they_mean_to_git(repository: Path, rules: list[str]) -> None:
    """For any rules, the same files are ignored, by the same line."""
    text = "\n".join(rules)
    (repository / ".gitignore").write_text(text)
    by_git = {found.path: found.rule for found in ignored_by_git(repository, PATHS)}
    found = {path: matching_rule(text, path) for path in PATHS}
    ours = {path: f".gitignore, line {rule[0]}: {rule[1]}" for path, rule in found.items() if rule}
    assert ours == by_git


def test_without_a_repository_the_file_is_read(tmp_path: Path) -> None:
    """A project that is not in Git yet is told the same."""
    (tmp_path / ".gitignore").write_text("# Python\nlib/\n")
    [found] = ignored_by_git(tmp_path, PATHS[:2])
    assert (found.path, found.rule) == (PATHS[0], ".gitignore, line 2: lib/")


def test_excludes_of_the_whole_machine_count(repository: Path, tmp_path: Path) -> None:
    """A rule that is in no file of the project is found, and its file is named."""
    (repository / ".gitignore").unlink(missing_ok=True)
    own = tmp_path / "excludes"
    own.write_text("lib/\n")
    subprocess.run(["git", "-C", repository, "config", "core.excludesFile", own], check=True)
    try:
        assert [found.rule for found in ignored_by_git(repository, PATHS[:1])] == [f"{own}, line 1: lib/"]
    finally:
        subprocess.run(["git", "-C", repository, "config", "core.excludesFile", "/dev/null"], check=True)


def test_a_committed_file_is_not_ignored(tmp_path: Path) -> None:
    """What Git has already will be deployed, whatever the rules say."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "x.py").touch()
    (tmp_path / ".gitignore").write_text("lib/\n")
    subprocess.run(["git", "-C", tmp_path, "add", "--force", "lib/x.py"], check=True)
    assert [found.path for found in ignored_by_git(tmp_path, ["lib/x.py", "lib/y.py"])] == ["lib/y.py"]


def test_vercelignore_is_read_alike(tmp_path: Path) -> None:
    """A list of what to upload leaves out everything else."""
    (tmp_path / ".vercelignore").write_text("/*\n!/api\n")
    found = ignored_by_vercel(tmp_path, PATHS)
    assert [ignored.path for ignored in found] == [path for path in PATHS if not path.startswith("api/")]
