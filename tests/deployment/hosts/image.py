"""Runs the steps of the Dockerfile in a clean folder: the same commands, without a container engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.host_server import HostServer, host_server

__all__ = ["Image", "build", "on_loopback"]

_HEALTH_COMMAND = re.compile(r".*CMD (?P<command>\[.*\])", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Image:
    """The result of `docker build`, as a folder.

    Args:
        folder: the working directory of the image.
        environment: its variables; `PATH` includes the installed packages.
        base: the base image.
        user: the user of its processes.
        command: the command that it starts.
        health_command: the command of its health check.
    """

    folder: Path
    environment: dict[str, str]
    base: str
    user: str
    command: tuple[str, ...]
    health_command: tuple[str, ...]

    @contextmanager
    def run(self, env: dict[str, str]) -> Iterator[HostServer]:
        """Start the command, and end it with SIGTERM as `docker stop` does."""
        # Python may write compiled files here: a file that the image lacks would then appear in the folder.
        everything = {**self.environment, "PYTHONDONTWRITEBYTECODE": "", **env}
        everything.pop("PORT", None)  # a free port of this machine instead of the container's port
        with host_server(everything, cwd=self.folder, command=on_loopback(self.command)) as server:
            yield server

    def health(self, server: HostServer) -> int:
        """Run the health check beside a server, and return its exit code."""
        env = {**self.environment, "PORT": str(server.port)}
        return subprocess.run(
            self.health_command, env=env, cwd=self.folder, capture_output=True, check=False
        ).returncode


def on_loopback(command: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command for this machine, on the loopback address instead of the container's network."""
    assert command.count("0.0.0.0") == 1
    return tuple(word.replace("0.0.0.0", "127.0.0.1") for word in command)


def build(context: Path, target: Path) -> Image:
    """Run the steps of the Dockerfile in `context`.

    Args:
        context: the folder with the Dockerfile and its .dockerignore.
        target: an empty folder for the image's file system.
    """
    # Every worker collects the tests, and few need these modules.
    from docker.utils.build import exclude_paths
    from dockerfile_parse import DockerfileParser

    parser = DockerfileParser(str(context), env_replace=False)
    packages, folder = target / "packages", target
    # The base image: a Python without packages.
    subprocess.run([sys.executable, "-m", "venv", str(packages)], check=True)
    environment = {"PATH": f"{packages / 'bin'}:{os.environ['PATH']}"}
    found = {"USER": "root", "CMD": "[]", "HEALTHCHECK": "CMD []", "FROM": ""}
    ignored = (context / ".dockerignore").read_text().splitlines()
    sent = exclude_paths(str(context), ignored)
    for step in parser.structure:
        kind, value = step["instruction"], step["value"]
        match kind:
            case "WORKDIR":
                folder = target / value.lstrip("/")
                folder.mkdir(parents=True)
            case "COPY":
                _copy(context, folder, sent, *value.split())
            case "RUN":
                subprocess.run(["/bin/sh", "-c", value], cwd=folder, env={**os.environ, **environment}, check=True)
            case "ENV":
                environment.update(pair.split("=", 1) for pair in value.split())
            case "FROM" | "USER" | "CMD" | "HEALTHCHECK":
                found[kind] = value
            case "COMMENT" | "EXPOSE":
                pass
            case _:
                raise AssertionError(f"an instruction that is not carried out here: {kind}")
    health = _HEALTH_COMMAND.fullmatch(found["HEALTHCHECK"])
    assert health
    return Image(
        folder,
        environment,
        found["FROM"],
        found["USER"],
        tuple(json.loads(found["CMD"])),
        tuple(json.loads(health["command"])),
    )


def _copy(context: Path, folder: Path, sent: set[str], source: str, destination: str) -> None:
    """Copy a file, or the content of a folder without the files that .dockerignore excludes."""
    files = [name for name in sent if name == source or name.startswith(f"{source}/")]
    assert files, f"{source} is kept outside by .dockerignore"
    for name in files:
        if (context / name).is_file():
            place = folder / destination / Path(name).relative_to(source if (context / source).is_dir() else ".")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(context / name, place)
