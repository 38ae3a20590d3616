"""Runs `deploy/prometheus/install.sh` as an operator does, but into a folder instead of the root."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.dev_server import REPOSITORY
from tests.support.prometheus_server import require
from tests.support.receivers import fetched

SCRIPT = REPOSITORY / "deploy" / "prometheus" / "install.sh"
TOKEN = "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Installation:
    """A machine for an installation.

    Args:
        root: the folder that is used as the root of the machine.
        script: the script to run; a test may use a copy beside other files.
    """

    root: Path
    script: Path = SCRIPT

    @property
    def folder(self) -> Path:
        """The folder of Prometheus' configuration."""
        return self.root / "etc" / "prometheus"

    @property
    def config(self) -> Path:
        """The main file of the configuration."""
        return self.folder / "prometheus.yml"

    def run(self, *options: str, **variables: str | None) -> str:
        """Run the script, and return its output, which must not hold a secret.

        Args:
            options: options beside `--root`.
            variables: variables beside a domain and a token; None removes one.
        """
        code, printed = self._run(options, variables)
        assert code == 0, printed
        return printed

    def refused(self, *options: str, **variables: str | None) -> str:
        """Run the script as `run` does, check that it fails, and return the reason."""
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
        """Return every file below the configuration's folders: mode, modification time, content."""
        return {
            str(file.relative_to(self.root)): (file.stat().st_mode & 0o777, file.stat().st_mtime_ns, file.read_bytes())
            for file in sorted((self.root / "etc").rglob("*"))
            if file.is_file()
        }

    def shorten_interval(self) -> None:
        """Let the installed Prometheus scrape every second, so that a test does not have to wait."""
        text = self.config.read_text()
        assert text.count("30s") == 3
        self.config.write_text(text.replace("30s", "1s").replace("10s", "1s"))


def installation(folder: Path, suite: str = "") -> Installation:
    """Return a machine that has Prometheus from Debian's package, or from that of another suite."""
    programs = folder / "usr" / "bin"
    programs.mkdir(parents=True)
    for program in ("prometheus", "promtool"):
        (programs / program).symlink_to(fetched(suite, program) if suite else require(program))
    return Installation(folder)


def with_rules(folder: Path, machine: Installation) -> tuple[Installation, Path]:
    """Return an installation with a copy of the script, and the folder of rules beside that copy."""
    shutil.copytree(SCRIPT.parent, folder / "deploy" / "prometheus")
    rules = folder / "grafana" / "rules"
    rules.mkdir(parents=True)
    return Installation(machine.root, folder / "deploy" / "prometheus" / SCRIPT.name), rules
