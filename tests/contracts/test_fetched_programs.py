"""`make receivers` and the servers of `make matrix`: what they say where nothing can be fetched, and leave alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.dev_server import REPOSITORY

SUPPORT = REPOSITORY / "tests" / "support"
SCRIPT, SERVER_SCRIPT = SUPPORT / "fetch_receivers.sh", SUPPORT / "fetch_server.sh"
PROGRAMS = ("trixie/prometheus", "trixie/promtool", "forky/prometheus", "forky/promtool")
VICTORIA = ("forky/victoria-metrics", "forky/vmagent")


def fetch(folder: Path, path: Path) -> subprocess.CompletedProcess[str]:
    """Run the script with no other programs than those in a folder."""
    command = ["/bin/bash", str(SCRIPT), str(folder)]
    return subprocess.run(command, env={"PATH": str(path)}, capture_output=True, text=True, check=False)


def test_shellcheck_finds_nothing() -> None:
    """ShellCheck finds nothing in the scripts."""
    command = [str(Path(sys.executable).parent / "shellcheck"), "--external-sources", str(SCRIPT), str(SERVER_SCRIPT)]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stdout == ""


def test_a_machine_without_apt_is_told_where_to_put_the_programs(tmp_path: Path) -> None:
    """Without apt-get the script fails, and names each program and its folder; no file is written."""
    (tmp_path / "bin").mkdir()
    done = fetch(tmp_path / "receivers", tmp_path / "bin")
    assert done.returncode == 1
    assert "This machine has no apt-get" in done.stderr
    assert (
        f"prometheus and promtool 3.5, victoria-metrics and vmagent 1.145 into {tmp_path}/receivers/forky"
        in done.stderr
    )
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


def test_without_apt_a_server_can_be_put_there_by_hand(tmp_path: Path) -> None:
    """The script of a server says where to put it, and uses what is there."""
    (tmp_path / "bin").mkdir()
    command = ["/bin/bash", str(SERVER_SCRIPT), str(tmp_path / "valkey"), "forky", "valkey-server"]

    def run() -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(tmp_path / "bin")}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    done = run()
    assert done.returncode == 1
    assert done.stderr == f"This machine has no apt-get: put a redis-server yourself into {tmp_path}/valkey\n"
    (tmp_path / "valkey").mkdir()
    (tmp_path / "valkey" / "redis-server").touch(0o755)
    assert (run().returncode, run().stderr) == (0, "")


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    """With all programs there, the script needs no other program and changes nothing."""
    for name in (*PROGRAMS, *VICTORIA):
        program = tmp_path / "receivers" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.touch(0o755)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    done = fetch(tmp_path / "receivers", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_apt_writes_only_into_the_folder(tmp_path: Path) -> None:
    """Each call of apt-get has its sources, lists and cache in the folder; a failure leaves nothing behind."""
    (tmp_path / "bin").mkdir()
    for name in ("awk", "grep", "mktemp", "mkdir", "rm", "id"):
        (tmp_path / "bin" / name).symlink_to(next(found for found in map(_in, _PATHS, [name] * 4) if found.exists()))
    (tmp_path / "bin" / "dpkg").symlink_to("/bin/true")
    apt = tmp_path / "bin" / "apt-get"
    apt.write_text(f'#!/bin/bash\nprintf "%s\\n" "$@" >>{tmp_path}/calls\n[ "${{!#}}" = update ]\n')
    apt.chmod(0o755)
    done = fetch(tmp_path / "receivers", tmp_path / "bin")
    assert done.returncode == 1
    assert "Debian's trixie could not be reached, or has no prometheus promtool" in done.stderr
    words = (tmp_path / "calls").read_text().split()
    places = [word.partition("=")[2] for word in words if word.startswith("Dir::")]
    assert len(places) == 8
    assert all(place == "-" or place.startswith(f"{tmp_path}/receivers/") for place in places)
    assert list((tmp_path / "receivers").rglob("fetching-*")) == []


_PATHS = ("/usr/bin", "/bin", "/usr/local/bin", os.path.dirname(sys.executable))  # noqa: PTH120


def _in(folder: str, name: str) -> Path:
    return Path(folder, name)
