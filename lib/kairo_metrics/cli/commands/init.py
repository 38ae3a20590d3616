"""`init`: adds what a project needs to be measured, after it has shown it and asked."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import SettingsError
from ..store_access import CommandError
from ..terminal import Terminal, printable

if TYPE_CHECKING:
    from ..init.plan import Plan

__all__ = ["add_init"]

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def add_init(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    init = commands.add_parser(
        "init",
        help="add to your project what it needs to be measured; shows the changes first, and asks",
        description="Find the app of a project without importing it, and add what it needs: the line that measures it, "
        "the metrics page, the pieces of vercel.json, requirements. No file is overwritten.",
        epilog="Exit code: 0 written, or nothing is missing; 1 not written; 2 no terminal to ask on, a wrong argument.",
    )
    init.add_argument("directory", nargs="?", type=Path, default=Path(), metavar="DIR", help="the project (default: .)")
    init.add_argument("--app", type=Path, metavar="FILE", help="the file with your app, if it is not found")
    init.add_argument("--yes", action="store_true", help="do not ask")
    init.set_defaults(run=_init)


def _init(options: argparse.Namespace) -> int:
    from ..init.plan import make_plan

    root = _project(options.directory)
    plan = make_plan(root, _chosen(root, options.app))
    terminal = Terminal()
    count = len(plan.layout.apps)
    what = f"{count} functions" if count > 1 else str(plan.layout.apps[0].path)
    terminal.write_line(f"{printable(str(root))}: {plan.layout.framework} on {plan.layout.host}, {printable(what)}")
    if plan.is_complete:
        terminal.write_line("there is nothing to write" if plan.by_hand else "nothing is missing")
        _tell(terminal, plan)
        return 0
    for line in _proposal(plan):
        terminal.write_line(terminal.style(printable(line).replace("\\t", "\t"), *_styles(line)))
    _tell(terminal, plan)
    if not options.yes:
        _ask(terminal)
    for path in _write(root, plan):
        terminal.write_line(f"wrote {printable(str(path))}")
    _next_commands(terminal, plan)
    return 0


def _project(directory: Path) -> Path:
    name = printable(str(directory))
    try:
        next(directory.iterdir(), None)
    except FileNotFoundError as err:
        raise SettingsError("DIR", f"must be the folder of your project; there is no {name}") from err
    except NotADirectoryError as err:
        raise SettingsError("DIR", f"must be the folder of your project; {name} is a file") from err
    except OSError as err:
        raise CommandError(f"{name} can't be read: {err.strerror}") from err
    return directory.resolve()


def _chosen(root: Path, app: Path | None) -> Path | None:
    """Return the file that `--app` names, relative to the project; it may be given from here or from there."""
    if app is None:
        return None
    for file in ((root / app).resolve(), app.resolve()):
        if file.is_file() and file.is_relative_to(root):
            return file.relative_to(root)
    raise SettingsError("--app", f"must be a file in the project; there is no {printable(str(app))}")


def _proposal(plan: Plan) -> Iterator[str]:
    from ..init.library import library_files

    yield ""
    if plan.library.copy:
        yield f"copy this package to {plan.layout.code / plan.library.folder}/ ({len(library_files())} files)"
    if plan.copies_wheel and plan.library.wheel is not None:
        yield f"copy {plan.library.wheel} to {plan.layout.code / 'wheels'}/"
    for change in plan.changes:
        yield from change.diff()
    yield ""


def _styles(line: str) -> tuple[str, ...]:
    return (_COLOURS[line[0]],) if line[:1] in _COLOURS else ()


def _tell(terminal: Terminal, plan: Plan) -> None:
    for warning in plan.warnings:
        terminal.write_line(terminal.style(f"warning: {printable(warning)}", "yellow"))
    for step in plan.by_hand:
        terminal.write_line(f"by hand: {printable(step)}")


def _ask(terminal: Terminal) -> None:
    """Ask whether to write, and return if the answer is yes.

    Raises:
        SettingsError: there is no terminal to ask on.
        CommandError: the answer is another one.
    """
    if not sys.stdin.isatty():
        raise SettingsError("--yes", "is needed where there is no terminal to ask on; nothing was changed")
    terminal.err.write("Write these changes? [y/N] ")
    terminal.err.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise CommandError("nothing was changed")


def _write(root: Path, plan: Plan) -> Iterator[Path]:
    """Write the changes, and yield each path that was written.

    Raises:
        CommandError: a file can't be written, or has been changed meanwhile.
    """
    from ..init.library import PACKAGE, library_files

    files = [(PACKAGE / file, plan.layout.code / plan.library.folder / file) for file in library_files()]
    copied = files if plan.library.copy else []
    if plan.copies_wheel and plan.library.wheel is not None:
        copied.append((plan.library.wheel, plan.layout.code / plan.library.files[0]))
    path = root
    try:
        for source, path in copied:
            if not (root / path).exists():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, root / path)
        if copied:
            yield plan.layout.code / (plan.library.folder if plan.library.copy else Path("wheels"))
        for change in plan.changes:
            path = change.path
            change.write(root)
            yield path
    except OSError as err:
        raise CommandError(f"{path} can't be written: {err.strerror}; run init again for the rest") from err


def _next_commands(terminal: Terminal, plan: Plan) -> None:
    from ..init.next_commands import next_commands

    terminal.write_line()
    terminal.write_line(terminal.style("Next:", "bold"))
    if plan.by_hand:
        terminal.write_line("  # what is to be done by hand, above; then")
    for line in next_commands(plan):
        terminal.write_line(f"  {printable(line)}")
