"""The command line as a whole: help, progress and interruptions."""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tomllib

import pytest

from lib.kairo_metrics import __version__
from lib.kairo_metrics.cli import _parser, main
from lib.kairo_metrics.cli import terminal as terminals
from lib.kairo_metrics.cli.terminal import Progress, Terminal
from tests.support.dev_server import REPOSITORY

COMMANDS = ("dev", "serve", "doctor", "series", "show", "wipe", "grafana")


class Screen(io.StringIO):
    """A terminal that keeps what was drawn."""

    encoding = "ascii"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command has `--help`, and the program lists its commands."""
    for arguments in ([command, "--help"], ["--help"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 0
        assert command in capsys.readouterr().out


def test_the_version_is_that_of_the_wheel(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` and `__version__` say what `pip` says."""
    declared = tomllib.loads((REPOSITORY / "lib" / "pyproject.toml").read_text())["project"]["version"]
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"kairo-metrics {declared}\n"
    assert __version__ == declared


def test_the_program_starts_as_a_module() -> None:
    """`python -m lib.kairo_metrics` is the same program."""
    command = [sys.executable, "-m", "lib.kairo_metrics", "--help"]
    shown = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert all(command in shown for command in COMMANDS)


def test_progress_is_for_long_work_on_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long work shows its progress and then removes it; short work, and work without a terminal, shows none."""
    monkeypatch.setattr(terminals, "_SOON_S", 0)
    screen, file = Screen(), io.StringIO()
    for err in (screen, file):
        with Progress(Terminal(io.StringIO(), err), "keys looked at") as progress:
            progress.at(50, 200)
    assert screen.getvalue() == "\r\x1b[Kkeys looked at: 50 of 200 (25%)\r\x1b[K"
    assert file.getvalue() == ""
    monkeypatch.setattr(terminals, "_SOON_S", 60)
    short = Screen()
    with Progress(Terminal(io.StringIO(), short), "keys looked at") as progress:
        progress.at(50)
    assert short.getvalue() == ""


def test_a_terminal_without_the_characters_gets_others() -> None:
    """If the encoding has no block characters, bars are drawn with other characters."""
    screen = Screen()
    terminal = Terminal(screen, plain=True)
    terminal.write_line("█ 路")
    assert screen.getvalue() == "? ?\n"
    assert not terminal.can_print("█")


def test_an_interruption_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends a command with the exit code that a shell expects, and without a traceback."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lib.kairo_metrics.cli.commands.series._series", interrupted)
    assert main(["series"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_every_command_and_option_is_described() -> None:
    """The documentation describes every command and option."""
    described = "".join((REPOSITORY / "docs" / file).read_text() for file in ("cli.md", "doctor.md"))
    subparsers = next(action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction))
    for command in set(COMMANDS) - {"dev", "serve"}:
        options = [option for action in subparsers.choices[command]._actions for option in action.option_strings]
        assert f"`{command}" in described
        assert [option for option in options if option.startswith("--") and f"`{option}" not in described] == []
