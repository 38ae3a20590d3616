"""Everything that a project lacks: the files to write, the files to change, and what only its owner can do."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .change import Change
from .earlier_library import find_earlier_library
from .ignored_files import warn_of_ignored
from .layout import Layout, find_layout
from .library import REQUIRED, Library, find_library
from .package_lists import folders_with_lists
from .project_files import python_files
from .python_edit import measured_text
from .requirements import Requirements, required_lines
from .user_app import App, app_in
from .vercel_config import read_vercel
from .vercel_files import vercel_advice, vercel_changes

__all__ = ["Plan", "make_plan"]

_IN_PLACE_OF_ANOTHER = "/metrics"  # where the page of the earlier library was, so that Prometheus finds ours
_PAGE_NAMES = ("metrics", "prometheus", "kairo_metrics_page")


@dataclass(frozen=True, slots=True)
class Plan:
    """What `init` proposes.

    Args:
        layout: how the project is laid out.
        library: how the project gets the package.
        page: the path of the metrics page.
        changes: the files to write, in their order.
        warnings: what would keep the project from working, although every file is there.
        by_hand: what the user must do.
        copies_wheel: whether the wheel goes into the project.
    """

    layout: Layout
    library: Library
    page: str
    changes: tuple[Change, ...]
    warnings: tuple[str, ...]
    by_hand: tuple[str, ...]
    copies_wheel: bool

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing to write."""
        return not self.changes and not self.library.copy and not self.copies_wheel


def make_plan(root: Path, chosen: Path | None = None) -> Plan:
    """Compare a project with what it needs.

    Args:
        root: the project.
        chosen: the file with the app, if the user has named it.

    Raises:
        CommandError: there is no app, or a file can't be read.
    """
    vercel = read_vercel(root)
    layout = find_layout(root, vercel, chosen)
    library = find_library(root / layout.code, beside=[root / app.path.parent for app in layout.apps])
    page_file, has_page = _page_file(root, layout)
    has_page = has_page or layout.has_page or any(app.page for app in layout.apps)
    page = (layout.one_app and has_page and _path_in_code(root)) or f"/{page_file.with_suffix('').as_posix()}"
    in_app = layout.one_app and not has_page
    changes: list[Change] = []
    by_hand = list(layout.skipped)
    for app in layout.apps:
        # One app may have its measuring in any file.
        earlier = find_earlier_library(root, python_files(root) if layout.one_app else [app.path])
        if earlier and not app.measured:
            if in_app:
                page = _IN_PLACE_OF_ANOTHER
            by_hand.append(earlier.step(app.name, app.path, page if in_app else None))
            continue
        change = _measured(app, library, page if in_app else None)
        if isinstance(change, Change):
            changes.append(change)
        elif change:
            by_hand.append(change)
    if not layout.one_app and not has_page:
        changes.append(Change(layout.code / page_file, None, _page_text(layout, library)))
        if layout.host == "AWS Lambda":
            by_hand.append(_lambda_page(layout, page_file))
    if layout.host == "Vercel":
        changes += vercel_changes(root, vercel, layout, library, page_file)
        by_hand += vercel_advice(root, vercel, layout, page_file, None if has_page else page)
    lists = _required(root, layout, library, () if layout.one_app else (page_file,))
    changes += [Change(*edit) for each in lists for edit in each.edits]
    by_hand += [line for each in lists for line in each.by_hand]
    if library.requirement is None:
        by_hand.append("add to your requirements the address from which you have installed kairo-metrics")
    files = [*(app.path for app in layout.apps), *(change.path for change in changes)]
    warnings = [*warn_of_ignored(root, layout.code, library, files, vercel=layout.host == "Vercel")]
    warnings += [line for each in lists for line in each.old]
    is_new = any(each.edits or each.by_hand for each in lists)
    copies_wheel = library.wheel is not None and is_new and not (root / layout.code / library.files[0]).exists()
    return Plan(layout, library, page, tuple(changes), tuple(warnings), tuple(by_hand), copies_wheel)


def _measured(app: App, library: Library, metrics_path: str | None) -> Change | str | None:
    """Return the change that measures an app, or what its owner must write."""
    page = f', metrics_path="{metrics_path}"' if metrics_path else ""
    if app.measured:
        return f"{app.path}: write instrument(...{page}), so that the app serves the page" if page else None
    after = measured_text(app, library.module, metrics_path)
    if after is None:
        return f"{app.path}: measure `{app.name}`, as in `{app.name} = instrument({app.name}{page})`"
    return Change(app.path, app.file.text, after, app.file.encoding)


def _page_file(root: Path, layout: Layout) -> tuple[Path, bool]:
    """Return the file of the page, and whether it is there; what the project has at that path is left alone."""
    folder, files = root / layout.code, [Path("api", f"{name}.py") for name in _PAGE_NAMES]
    for file in files:
        app = app_in(root, layout.code / file) if (folder / file).is_file() else None
        if app is not None and app.page:
            return file, True
    free = (file for file in files if not _is_taken(root, folder, file.with_suffix("")))
    return next(free, files[-1]), False


def _is_taken(root: Path, folder: Path, stem: Path) -> bool:
    """Tell whether the project has something at a path: a function in any language, or a route in its code."""
    if any(folder.glob(f"{stem}.*")) or any(folder.glob(f"{stem}/index.*")):
        return True
    return _found(root, rf"[\"'](/{stem.as_posix()})/?[\"']") is not None


def _path_in_code(root: Path) -> str | None:
    """Return the path at which an app serves the page already."""
    return _found(root, r"metrics_path\s*=\s*[\"'](/[^\"']+)")


def _found(root: Path, pattern: str) -> str | None:
    """Return what a pattern finds first in the code of the project."""
    for file in python_files(root):
        with suppress(OSError):  # a link that leads nowhere
            # Not all files need be UTF-8, and a path is ASCII.
            if found := re.search(pattern, (root / file).read_bytes().decode("latin-1")):
                return found[1]
    return None


def _page_text(layout: Layout, library: Library) -> str:
    on_lambda = layout.host == "AWS Lambda"
    imported = "lambda_handler, metrics_app" if on_lambda else "metrics_app"
    return (
        '"""The metrics page that Prometheus scrapes."""\n\n'
        f"from {library.module} import {imported}\n\n"
        f"app = metrics_app()\n{'handler = lambda_handler(app)' + chr(10) if on_lambda else ''}"
    )


def _required(root: Path, layout: Layout, library: Library, pages: tuple[Path, ...]) -> list[Requirements]:
    """Return what each list of packages lacks: Vercel installs for a function the nearest one."""
    folders = [layout.code]
    if layout.host == "Vercel":
        folders = folders_with_lists(root, layout.code, [*(app.path for app in layout.apps), *pages])
    lines = _requirements(layout, library)
    return [required_lines(root, folder, [_from(folder, line) for line in lines]) for folder in folders]


def _from(folder: Path, line: str) -> str:
    """Return a line as a list in that folder has it: a path is relative to the list."""
    return f"{'../' * len(folder.parts)}{line.removeprefix('./')}" if line.startswith("./") and folder.parts else line


def _requirements(layout: Layout, library: Library) -> list[str]:
    own = list(REQUIRED) if library.is_copied else [library.requirement] if library.requirement else []
    return [*own, "mangum"] if layout.host == "AWS Lambda" and not layout.one_app else own


def _lambda_page(layout: Layout, page_file: Path) -> str:
    handler = ".".join(page_file.with_suffix("").parts)
    folder = f", CodeUri {layout.code.as_posix()}/" if layout.code != Path() else ""
    return f"your template: add a function with the handler {handler}.handler{folder} and the path GET /api/metrics"
