"""The file in which the dev server says where it runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib.kairo_metrics.config.dev_run import announced, find_dev_run, join_dev_run

URL = "http://127.0.0.1:4000"


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start each test without a dev server, and give the variables of the run back after it."""
    monkeypatch.setattr(os, "environ", {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(tmp_path)})


def written(tmp_path: Path) -> Path:
    """Return the one file that was written."""
    [file] = tmp_path.glob("kairo-dev-*/*")
    return file


def test_a_command_in_the_project_finds_the_server(tmp_path: Path) -> None:
    """Also below its folder; not beside it, and not after the server's end."""
    project = tmp_path / "shop"
    (project / "api").mkdir(parents=True)
    os.environ |= {"METRICS_AUTH_TOKEN": "secret", "REDIS_URL": "unix:///private", "HOME": "/home/me"}
    with announced(project, URL) as is_written:
        assert is_written
        for folder in (project, project / "api"):
            found = find_dev_run(folder)
            assert found is not None
            assert (found.url, found.pid) == (URL, os.getpid())
            assert set(found.variables) == {"METRICS_AUTH_TOKEN", "REDIS_URL"}
            assert "secret" not in repr(found)
        assert find_dev_run(tmp_path) is None
    assert find_dev_run(project) is None
    assert not list(tmp_path.glob("kairo-dev-*/*"))


def test_only_its_user_can_read_the_token(tmp_path: Path) -> None:
    """Neither the file nor its folder is open to others, whatever the umask is."""
    before = os.umask(0)
    try:
        with announced(tmp_path, URL):
            file = written(tmp_path)
            assert file.stat().st_mode & 0o077 == file.parent.stat().st_mode & 0o077 == 0
    finally:
        os.umask(before)


def test_a_folder_that_others_can_open_is_not_used(tmp_path: Path) -> None:
    """Somebody who makes the folder first gets no token, and sends no command to another store."""
    folder = tmp_path / f"kairo-dev-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    with announced(tmp_path, URL) as is_written:
        assert not is_written
        assert not list(folder.iterdir())
        assert find_dev_run(tmp_path) is None


def test_a_server_that_was_killed_is_not_found(tmp_path: Path) -> None:
    """Its file is left, but its process is gone."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with announced(tmp_path, URL):
        file = written(tmp_path)
        file.write_text(json.dumps({"url": URL, "pid": ended.pid, "variables": {}}))
        assert find_dev_run(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"url": 1, "pid": "x", "variables": {}}', "\x00"])
def test_a_damaged_file_is_no_server(text: str, tmp_path: Path) -> None:
    """A command goes on without it."""
    with announced(tmp_path, URL):
        written(tmp_path).write_text(text)
        assert find_dev_run(tmp_path) is None


def test_the_newer_of_two_servers_is_found(tmp_path: Path) -> None:
    """The end of the older one leaves it known."""
    with announced(tmp_path, URL):
        file = written(tmp_path)
        file.write_text(json.dumps({"url": "http://127.0.0.1:5000", "pid": os.getppid(), "variables": {}}))
    found = find_dev_run(tmp_path)
    assert found is not None
    assert found.url == "http://127.0.0.1:5000"


def test_a_command_uses_the_servers_store(tmp_path: Path) -> None:
    """What its environment says itself has precedence, and a Redis of its own ends the search."""
    os.environ |= {"METRICS_NAMESPACE": "preview", "REDIS_URL": "unix:///private"}
    with announced(tmp_path, URL):
        assert join_dev_run(tmp_path) is None
        del os.environ["REDIS_URL"]
        os.environ["METRICS_NAMESPACE"] = "production"
        joined = join_dev_run(tmp_path)
        assert joined is not None
        assert (os.environ["REDIS_URL"], os.environ["METRICS_NAMESPACE"]) == ("unix:///private", "production")
