"""`deploy/prometheus/install.sh` as an operator runs it, into a folder that stands for the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.dev_server import REPOSITORY
from tests.support.prometheus_server import require

SCRIPT = REPOSITORY / "deploy" / "prometheus" / "install.sh"
TOKEN = "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Installation:
    """A machine to install on.

    Args:
        root: the folder that stands for it.
        script: the script to run; a test may bring a copy beside other files.
    """

    root: Path
    script: Path = SCRIPT

    @property
    def folder(self) -> Path:
        """Where Prometheus has its configuration."""
        return self.root / "etc" / "prometheus"

    @property
    def config(self) -> Path:
        """The main file of the configuration."""
        return self.folder / "prometheus.yml"

    def run(self, *options: str, **variables: str | None) -> str:
        """Run the script and return what it prints, which never is a secret.

        Args:
            options: more of them than `--root`.
            variables: its environment on top of a domain and a token; None takes one out.
        """
        code, printed = self._run(options, variables)
        assert code == 0, printed
        return printed

    def refused(self, *options: str, **variables: str | None) -> str:
        """Run the script as `run` does, see it fail, and return why."""
        code, printed = self._run(options, variables)
        assert code == 1, printed
        return printed

    def _run(self, options: tuple[str, ...], variables: dict[str, str | None]) -> tuple[int, str]:
        given = {"METRICS_AUTH_TOKEN": TOKEN, "KAIRO_DOMAIN": "shop.example", **variables}
        environ = {"PATH": os.environ["PATH"], **{name: value for name, value in given.items() if value is not None}}
        command = [str(self.script), "--root", str(self.root), *options]
        done = subprocess.run(command, env=environ, capture_output=True, encoding="utf-8", check=False)
        printed = done.stdout + done.stderr
        for name in ("METRICS_AUTH_TOKEN", "VERCEL_AUTOMATION_BYPASS_SECRET"):
            assert len(environ.get(name, "")) < len("a secret") or environ[name] not in printed, printed
        return done.returncode, printed

    def tree(self) -> dict[str, tuple[int, int, bytes]]:
        """Return every file below the configuration's folders: mode, time of writing, content."""
        return {
            str(file.relative_to(self.root)): (file.stat().st_mode & 0o777, file.stat().st_mtime_ns, file.read_bytes())
            for file in sorted((self.root / "etc").rglob("*"))
            if file.is_file()
        }

    def quicken(self) -> None:
        """Let the installed Prometheus scrape each second, so that a test need not wait."""
        text = self.config.read_text()
        assert text.count("30s") == 3
        self.config.write_text(text.replace("30s", "1s").replace("10s", "1s"))


def installation(folder: Path) -> Installation:
    """Return a machine that has Prometheus from Debian's package."""
    programs = folder / "usr" / "bin"
    programs.mkdir(parents=True)
    for program in ("prometheus", "promtool"):
        (programs / program).symlink_to(require(program))
    return Installation(folder)


def with_rules(folder: Path, machine: Installation) -> tuple[Installation, Path]:
    """Return the installation by a copy of the script, and the folder of rules that belongs to this copy."""
    shutil.copytree(SCRIPT.parent, folder / "deploy" / "prometheus")
    rules = folder / "grafana" / "rules"
    rules.mkdir(parents=True)
    return Installation(machine.root, folder / "deploy" / "prometheus" / SCRIPT.name), rules
