"""What Vercel needs beside the code: `vercel.json`, `.vercelignore` and `public/`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .change import Change
from .layout import Layout
from .library import Library
from .vercel_config import FILE, VercelConfig
from .vercel_pieces import preset_of, vercel_text

__all__ = ["vercel_advice", "vercel_changes"]

_IGNORED = "# Secrets are not uploaded: `vercel env add` sets them.\n.env*\n"


def vercel_changes(
    root: Path, vercel: VercelConfig, layout: Layout, library: Library, page_file: Path
) -> Iterator[Change]:
    """Yield the files that Vercel needs and the project lacks.

    Args:
        root: the project.
        vercel: its settings for Vercel.
        layout: how it is laid out.
        library: how it gets the package.
        page_file: the file of the page, if that is a function of its own.
    """
    if not _settings_are_elsewhere(vercel):
        text = vercel_text(vercel, layout, library, page_file, has_frontend=_has_frontend(root))
        if text is not None and text != vercel.text:
            yield Change(FILE, vercel.text, text)
    if not _has_frontend(root) and not any((root / name).exists() for name in (".vercelignore", ".nowignore")):
        yield Change(Path(".vercelignore"), None, _IGNORED)
    if _publishes_sources(root, vercel, layout) and not _static_pages(root):
        yield Change(Path("public", ".gitkeep"), None, "")


def vercel_advice(root: Path, vercel: VercelConfig, layout: Layout, page_file: Path, page: str | None) -> Iterator[str]:
    """Yield what only the project's owner can change.

    Args:
        root: the project.
        vercel: its settings for Vercel.
        layout: how it is laid out.
        page_file: the file of the page, if that is a function of its own.
        page: the path of the page, if one is still to be added.
    """
    if _settings_are_elsewhere(vercel):
        yield f"{vercel.other_form}: add what docs/vercel.md lists for vercel.json"
    if layout.preset and vercel.preset is None and ("framework" in vercel.data or _has_frontend(root)):
        yield f'vercel.json: Vercel loads {layout.apps[0].path} only with "framework": "{preset_of(layout)}"'
    if page and vercel.routes_itself and layout.one_app and vercel.everything_goes_to is None:
        yield f'vercel.json: add a route from {page} to {layout.apps[0].path} to "routes"'
    if page and vercel.routes_itself and not layout.one_app:
        yield f'vercel.json: add {page_file.as_posix()} to "builds", and a route to it to "routes", before the others'
    if _publishes_sources(root, vercel, layout) and (pages := _static_pages(root)):
        yield (
            f"move your static files ({', '.join(pages)}, ...) into public/: without that folder Vercel publishes "
            "the whole project, sources included"
        )


def _settings_are_elsewhere(vercel: VercelConfig) -> bool:
    return vercel.text is None and vercel.other_form is not None


def _has_frontend(root: Path) -> bool:
    return (root / "package.json").is_file()


def _publishes_sources(root: Path, vercel: VercelConfig, layout: Layout) -> bool:
    """Tell whether Vercel would publish everything outside `api/`: there is no folder or build of static files."""
    if layout.preset or vercel.routes_itself or "outputDirectory" in vercel.data or _has_frontend(root):
        return False
    public = root / "public"
    return not (public.is_dir() and any(public.iterdir()))


def _static_pages(root: Path) -> list[str]:
    return [file.name for file in sorted(root.glob("*.html"))]
