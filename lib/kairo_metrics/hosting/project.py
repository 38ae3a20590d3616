"""The project that is served: its functions, and the routing part of its `vercel.json`."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from ..errors import HostingError
from .function import Function, discover, load
from .rewrites import VercelJson

__all__ = ["Project"]


@dataclass(frozen=True, slots=True)
class Project:
    """What is in a project's folder.

    Args:
        functions: the functions, in the order of their files.
        vercel: the rewrites that lead to them, and the headers of their responses.
        others: files of `api/` that define no app.
    """

    functions: tuple[Function, ...]
    vercel: VercelJson
    others: tuple[Path, ...] = ()

    @classmethod
    def load(cls, root: Path) -> Project:
        """Import the functions in `root`, which becomes the working directory and the first place to import from.

        Raises:
            HostingError: a function can't be imported, or there is none; the error says which.
        """
        root = root.resolve()
        if not root.is_dir():
            raise HostingError(f"{root} is no folder.")
        os.chdir(root)
        sys.path.insert(0, str(root))
        loaded = [(file, load(root, path, file)) for path, file in discover(root)]
        functions = tuple(function for _, function in loaded if function)
        if not functions:
            raise HostingError(f"There is no function in {root / 'api'}: a function is a file there that defines app.")
        others = tuple(file for file, function in loaded if not function)
        return cls(functions, VercelJson.read(root / "vercel.json"), others)
