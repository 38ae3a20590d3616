"""The commands of the guide that can't run here, compared with the help of their programs."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["Command", "commands_of", "mistakes", "vercel_mistakes"]

# The subcommands of a program, and the options of each that the guide uses. If the program is
# installed, its own help must say the same. Read from the help of heroku 11.10, docker 28.2, kubectl 1.32, systemd 252.
_TAKEN: dict[str, dict[str, set[str]]] = {
    "docker": {
        "run": {"-d", "--name", "--network", "-e", "-v"},
        "compose logs": set(),
    },
    "heroku": {"addons:create": set(), "config:set": set()},
    "journalctl": {"": {"-u", "--since"}},
    "kubectl": {"apply": {"-f"}, "create secret generic": {"--from-literal"}},
    "openssl": {"rand": {"-hex"}},
    "printf": {"": set()},
    "systemctl": {"restart": set(), "status": set()},
}
# Programs whose help is called in another way, or does not list options.
_NO_HELP = {"openssl", "printf"}
_SEPARATORS = re.compile(r"[|&;\n]+")


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Args:
        words: the program, the subcommand, arguments and options.
    """

    words: tuple[str, ...]

    @property
    def program(self) -> str:
        return self.words[0]

    @property
    def options(self) -> list[str]:
        """The options by name, without their values."""
        return [word.partition("=")[0] for word in self.words[1:] if word.startswith("-")]

    @property
    def arguments(self) -> list[str]:
        """The words before the first option."""
        rest = self.words[1:]
        first = next((number for number, word in enumerate(rest) if word.startswith("-")), len(rest))
        return list(rest[:first])


def commands_of(text: str) -> Iterator[Command]:
    """Yield the commands of a shell block one by one, without `sudo`, comments and assignments."""
    bare = re.sub(r"(?m)(^|\s+)# .*$", "", text.replace("\\\n", " "))
    lexer = shlex.shlex(bare, posix=True, punctuation_chars="|&;\n")
    lexer.whitespace, lexer.commenters = " \t", ""
    lexer.whitespace_split = True
    words: list[str] = []
    for word in (*lexer, ";"):
        if not _SEPARATORS.fullmatch(word):
            words.append(word)
            continue
        while words and (words[0] == "sudo" or re.match(r"[A-Z_]+=", words[0])):
            words.pop(0)
        if words:
            yield Command(tuple(words))
        words = []


def mistakes(command: Command) -> list[str]:
    """Return the mistakes in a command of any program but Vercel's."""
    known = _TAKEN.get(command.program)
    if known is None:
        return [f"{command.program} is a program without a known help"]
    subcommand = next((name for name in known if _begins_with(command.arguments, name)), None)
    if subcommand is None:
        return [f"{command.program} has no {command.arguments}"]
    unknown = [option for option in command.options if option not in known[subcommand]]
    if command.program in _NO_HELP or not shutil.which(command.program):
        return unknown
    help_text = _help(command.program, *subcommand.split())
    # systemctl and journalctl have one help text for everything.
    missing = [word for word in (*command.options, *subcommand.split()[-1:]) if not _stands_in(word, help_text)]
    return unknown + missing


def vercel_mistakes(cli: Path, command: Command) -> list[str]:
    """Return the mistakes in a command of Vercel's CLI, by its own help: options, and the number of arguments."""
    help_text, words = "", command.arguments
    for length in range(min(len(words), 2), 0, -1):
        help_text = _help(str(cli), *words[:length])
        usage = re.search(rf"▲ vercel {re.escape(' '.join(words[:length]))}(?P<rest>( [^\n]*)?)\n", help_text)
        if usage:
            break
    else:
        return [f"vercel has no {words}"]
    takes = [word for word in usage["rest"].split() if word not in {"[options]", "[command]"}]
    valued = {option for names in re.findall(r"(?:(-\w), +)?(--[\w-]+) +<", help_text) for option in names}
    given = _without_options(command.words[1 + length :], valued)
    found = [option for option in command.options if not _stands_in(option, help_text)]
    return found if len(given) <= len(takes) else [*found, f"{given}: it takes {takes}"]


def _without_options(words: tuple[str, ...], valued: set[str]) -> list[str]:
    """Return the words that are neither options nor values of options."""
    pairs = zip((None, *words), words, strict=False)
    return [word for before, word in pairs if not word.startswith("-") and before not in valued]


def _begins_with(arguments: list[str], subcommand: str) -> bool:
    words = subcommand.split()
    return arguments[: len(words)] == words


def _stands_in(word: str, text: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


@cache
def _help(program: str, *subcommand: str) -> str:
    environment = {**os.environ, "NO_COLOR": "1", "VERCEL_TELEMETRY_DISABLED": "1", "SYSTEMD_PAGER": "cat"}
    asked = subprocess.run(
        [program, *subcommand, "--help"], env=environment, capture_output=True, text=True, check=False
    )
    return asked.stdout + asked.stderr
