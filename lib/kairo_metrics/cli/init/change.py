"""One file that `init` proposes to write."""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..store_access import CommandError

__all__ = ["Change"]


@dataclass(frozen=True, slots=True)
class Change:
    """One file to write.

    Args:
        path: relative to the project.
        before: its text now; None for a new file.
        after: its text then.
        encoding: of both.
    """

    path: Path
    before: str | None
    after: str
    encoding: str = "utf-8"

    def diff(self) -> Iterator[str]:
        """Yield the lines of a unified diff, which `git apply` and `patch -p1` take."""
        path = self.path.as_posix()
        yield f"diff --git a/{path} b/{path}"  # an empty file has no other line with its name
        if self.before is None:
            yield "new file mode 100644"
        before = (self.before or "").splitlines(keepends=True)
        old = "/dev/null" if self.before is None else f"a/{path}"
        for line in difflib.unified_diff(before, self.after.splitlines(keepends=True), old, f"b/{path}"):
            yield line.rstrip("\r\n")
            if not line.endswith("\n"):
                yield "\\ No newline at end of file"

    def write(self, root: Path) -> None:
        """Write the file, unless somebody else has written it meanwhile.

        Raises:
            CommandError: it differs from what was read.
            OSError: it can't be written.
        """
        file = root / self.path
        content = self.after.encode(self.encoding)
        found = file.read_bytes() if file.exists() else None
        if found != (None if self.before is None else self.before.encode(self.encoding)):
            raise CommandError(f"{self.path} has been changed meanwhile; run init again")
        file.parent.mkdir(parents=True, exist_ok=True)
        # A full disk must not cost the user a file: the new one takes its place when it is whole.
        target = file.resolve()
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{file.name}-", delete=False) as new:
            try:
                new.write(content)
                new.close()
                Path(new.name).chmod(target.stat().st_mode if found is not None else 0o666 & ~_umask())
                Path(new.name).replace(target)
            except OSError:
                Path(new.name).unlink()
                raise


def _umask() -> int:
    """Return the process's mask for new files; it can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
