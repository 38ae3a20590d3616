"""How a project is laid out: which host runs it, and which files that host loads."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...hosting.entry_point import function_files, why_no_entry_point
from ..store_access import CommandError
from .lambda_project import handlers_of, template_of
from .project_files import python_files
from .python_file import bindings, read_python
from .text_file import read_text
from .user_app import App, app_in
from .vercel_config import VercelConfig

__all__ = ["Host", "Layout", "find_layout"]

Host = Literal["Vercel", "AWS Lambda", "another host"]

# Vercel tries these names in these folders, in this order (@vercel/python 25.0.0, src/entrypoint.ts).
_ENTRIES = tuple(
    Path(folder, f"{name}.py")
    for folder in ("", "src", "app", "api")
    for name in ("app", "index", "server", "main", "wsgi", "asgi")
)
_OTHER_HOSTS = ("Procfile", "Dockerfile", "fly.toml", "render.yaml", "app.yaml", "railway.json", "compose.yaml")


@dataclass(frozen=True, slots=True)
class Layout:
    """What a host loads of a project.

    Args:
        host: the host.
        apps: what it loads, in its order.
        one_app: whether one app takes all paths, and so serves the metrics page itself.
        code: the folder with the code that is deployed, relative to the project: the root, but for some on Lambda.
        preset: whether it is one of Vercel's presets, which load one app from the project's root.
        skipped: what looks like a function and is none.
        has_page: whether a function serves the page that is none of the apps.
    """

    host: Host
    apps: tuple[App, ...]
    one_app: bool
    code: Path = Path()
    preset: bool = False
    skipped: tuple[str, ...] = ()
    has_page: bool = False

    @property
    def framework(self) -> str:
        """What the apps are made with."""
        return ", ".join(dict.fromkeys(app.framework for app in self.apps))


def find_layout(root: Path, vercel: VercelConfig, chosen: Path | None = None) -> Layout:
    """Find out how a project is laid out.

    Args:
        root: the project.
        vercel: its settings for Vercel.
        chosen: the file with the app, if the user has named it.

    Raises:
        CommandError: there is no app, or a file of the project is not valid Python.
    """
    on_vercel = vercel.text is not None or vercel.other_form is not None or (root / ".vercel").is_dir()
    if chosen is not None:
        return _chosen(root, vercel, chosen, on_vercel=on_vercel)
    if not on_vercel and (template := template_of(root)):
        code, handlers = handlers_of(root, template)
        found = [app for file, name in handlers if (app := _lambda_app(root, file, name))]
        apps = [app for app in found if not app.ours]
        if apps:
            one_app = len(found) == 1 and apps[0].kind == "app"
            return Layout("AWS Lambda", tuple(apps), one_app, code, has_page=any(app.page for app in found))
    if vercel.built:
        files = [file.relative_to(root) for source in vercel.built for file in sorted(root.glob(source.lstrip("/")))]
        apps = [app for file in files if file.suffix == ".py" and (app := app_in(root, file))]
        if apps:
            return Layout("Vercel", tuple(apps), len(apps) == 1)
    functions, skipped = _functions(root)
    if functions and vercel.preset is None:
        one = len(functions) == 1 and vercel.routes_itself and vercel.everything_goes_to is not None
        return Layout("Vercel", tuple(functions), one, skipped=tuple(skipped))
    entries = tuple(_root_apps(root))
    if entries:
        elsewhere = not on_vercel and any((root / name).is_file() for name in _OTHER_HOSTS)
        return Layout("another host" if elsewhere else "Vercel", entries, one_app=True, preset=not elsewhere)
    raise CommandError(_nothing_found(root, skipped))


def _chosen(root: Path, vercel: VercelConfig, file: Path, *, on_vercel: bool) -> Layout:
    app = app_in(root, file)
    if app is None:
        raise CommandError(f"{file}: {why_no_entry_point(read_python(root, file).tree)}")
    if file.parts[0] == "api" and vercel.preset is None:
        return Layout("Vercel", (app,), one_app=False)
    return Layout("Vercel" if on_vercel else "another host", (app,), one_app=True, preset=on_vercel)


def _functions(root: Path) -> tuple[list[App], list[str]]:
    """Return the user's functions in `api/`, and why other files there are none."""
    found, skipped = [], []
    for file in function_files(root):
        app = app_in(root, file)
        if app is not None:
            found += [] if app.ours else [app]
        elif (tree := read_python(root, file).tree).body and _looks_like_one(tree):
            skipped.append(f"{file}: {why_no_entry_point(tree)}")
    return found, skipped


def _looks_like_one(tree: ast.Module) -> bool:
    return "has no top-level" not in why_no_entry_point(tree)


def _root_apps(root: Path) -> Iterator[App]:
    """Yield the app that a preset of Vercel or another host loads."""
    if (file := _vercel_tool_entry(root)) and (app := app_in(root, file)):
        yield app
        return
    django = [app for file, name in _django_entries(root) if (app := app_in(root, file, name))]
    if django:
        yield from django
        return
    for file in _ENTRIES:
        if (root / file).is_file() and (app := app_in(root, file)):
            yield app
            return


def _vercel_tool_entry(root: Path) -> Path | None:
    """Return the file that `[tool.vercel] entrypoint = "module:app"` names in pyproject.toml."""
    try:
        data = tomllib.loads(read_text(root, Path("pyproject.toml")) or "")
        module = data["tool"]["vercel"]["entrypoint"].partition(":")[0]
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError):  # it names none
        return None
    stem = Path(*module.split("."))
    return next((file for file in (stem.with_suffix(".py"), stem / "__init__.py") if (root / file).is_file()), None)


def _django_entries(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield file and name of a Django project's app, as its settings tell."""
    for manage in (Path("manage.py"), *sorted(file.relative_to(root) for file in root.glob("*/manage.py"))):
        found = re.search(r"DJANGO_SETTINGS_MODULE[\"'],\s*[\"']([\w.]+)", read_text(root, manage) or "")
        if not found:
            continue
        stem = manage.parent.joinpath(*found[1].split("."))
        texts = [
            read_text(root, file) or "" for file in (stem.with_suffix(".py"), stem / "__init__.py", stem / "base.py")
        ]
        settings = "\n".join(texts)
        named = re.findall(r"^(?:WSGI|ASGI)_APPLICATION\s*=\s*[\"']([\w.]+)\.(\w+)[\"']", settings, re.MULTILINE)
        for module, name in named:
            file = manage.parent.joinpath(*module.split(".")).with_suffix(".py")
            if (root / file).is_file():
                yield file, name
        return


def _lambda_app(root: Path, file: Path, name: str) -> App | None:
    """Return what a Lambda function runs: the app in an adapter such as `Mangum(app)`, or the function itself."""
    tree = read_python(root, file).tree
    if not (bound := bindings(tree, name)):
        return None
    statement = bound[-1]
    if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
        for argument in statement.value.args[:1]:
            if isinstance(argument, ast.Name) and bindings(tree, argument.id):
                return app_in(root, file, argument.id)
    return app_in(root, file, name)


def _nothing_found(root: Path, skipped: list[str]) -> str:
    """Say what was looked for, and which apps are in other places."""
    searched = "api/*.py, or from app.py, index.py, server.py, main.py, wsgi.py or asgi.py"
    wanted = "Vercel loads a top-level `app` or `application`, or a class `handler`, from"
    lines = [f"no app was found in {root}: {wanted} {searched}", *skipped]
    for file in python_files(root):
        try:
            app = app_in(root, file)
        except CommandError:  # a file that nobody runs, perhaps
            continue
        if app is not None and app.framework not in {"app", "function"}:
            lines.append(f"{file} has an app ({app.framework}): name it with --app {file}")
    lines.append("a job without an app needs no init: copy lib/kairo_metrics, and require prometheus-client and redis")
    return "; ".join(lines)
