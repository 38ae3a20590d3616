"""A project to serve: its functions, and the routing part of its `vercel.json`."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from ..errors import HostingError
from .function import Function, Skipped, discover, load
from .rewrites import VercelJson

__all__ = ["Project"]


@dataclass(frozen=True, slots=True)
class Project:
    """The parts of a project's folder.

    Args:
        functions: the functions, sorted by file.
        vercel: the rewrites to the functions, and the headers of their responses.
        skipped: files in `api/` that are no functions.
    """

    functions: tuple[Function, ...]
    vercel: VercelJson
    skipped: tuple[Skipped, ...] = ()

    @classmethod
    def load(cls, root: Path) -> Project:
        """Import the functions in `root`, which becomes the working directory and the first entry of `sys.path`.

        Raises:
            HostingError: a function can't be imported, or there is no function.
        """
        root = root.resolve()
        if not root.is_dir():
            raise HostingError(f"{root} is not a folder.")
        os.chdir(root)
        sys.path.insert(0, str(root))
        loaded = [load(root, path, file) for path, file in discover(root)]
        functions = tuple(file for file in loaded if isinstance(file, Function))
        skipped = tuple(file for file in loaded if isinstance(file, Skipped))
        if not functions:
            reasons = "".join(f"\n{file}" for file in skipped)
            raise HostingError(
                f"There is no function in {root / 'api'}: a function is a file there that defines `app` or a class "
                f"`handler`. An app in another place is started with its own server, as in `uvicorn main:app`.{reasons}"
            )
        return cls(functions, VercelJson.read(root / "vercel.json"), skipped)
