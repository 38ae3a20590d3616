"""An operator who follows the guide: a system to follow it with, and a shell in a clean folder."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.deployment.scrapers.installation import installation
from tests.deployment.scrapers.protected import in_front_of
from tests.support.dev_server import REPOSITORY, DevServer, dev_server
from tests.support.lab_project import lab_project
from tests.support.ports import free_port
from tests.support.prometheus_server import PrometheusServer, require
from tests.support.write_receiver import WriteReceiver, write_receiver
from tests.system.guide.pages import Block

__all__ = ["NEW_TOKEN", "TOKEN", "Deployment", "Operator", "deployment"]

TOKEN, NEW_TOKEN = "9f1c2ab47d6e803b5f7ac04e1d92b683", "47d6e803b5f7ac04e1d92b6839f1c2ab"
_BYPASS, _CRON_SECRET = "bypass-secret", "cron-secret-0123456789"
# The architectures of the releases; the guide downloads the first.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_RELEASES = "https://github.com/prometheus/prometheus/releases/download"
_INSTALL = "sudo --preserve-env=KAIRO_DOMAIN,METRICS_AUTH_TOKEN deploy/prometheus/install.sh"


@dataclass(frozen=True, slots=True)
class Deployment:
    """The system for the guide, in the middle of a rotation: it accepts two tokens.

    Args:
        server: the functions; one of them fails, and one has a slow query.
        receiver: receives pushes.
        protected_port: the port of a stand-in for Deployment Protection before the server.
    """

    server: DevServer
    receiver: WriteReceiver
    protected_port: int

    def use(self) -> None:
        """Send requests that succeed, that fail and that are slow."""
        with httpx.Client(base_url=self.server.url, headers={"X-Tenant": "acme"}, timeout=30) as client:
            for path in ("/api/content", "/api/content", "/api/flaky", "/api/report?seconds=0.3"):
                client.get(path)


@contextlib.contextmanager
def deployment(folder: Path) -> Iterator[Deployment]:
    """Run the deployment until the block ends."""
    with write_receiver() as receiver:
        environment = {
            "METRICS_AUTH_TOKEN": f"{NEW_TOKEN},{TOKEN}",
            "METRICS_NAMESPACE": "production",
            "METRICS_REMOTE_WRITE_URL": receiver.url,
            "CRON_SECRET": _CRON_SECRET,
            "DATABASE_URL": f"sqlite:///{folder / 'cms.sqlite3'}",
        }
        with (
            dev_server(lab_project(folder / "project"), environment) as server,
            in_front_of(
                server.url, lambda request: request.headers["x-vercel-protection-bypass"] == _BYPASS, refusal=401
            ) as protected_port,
        ):
            yield Deployment(server, receiver, protected_port)


@dataclass(slots=True)
class Operator:
    """Runs blocks of the guide, with this machine's addresses and folders instead of those in them.

    Args:
        folder: the working directory of the blocks; it has the files of a clone, as links.
        deployment: the system that the blocks are about.
        port: the port of the system on 127.0.0.1; by default that of its server.
        machine: the folder that is used as the root of the file system for installations.
        releases: the folder of Prometheus' releases.
        prometheus: the address of the running Prometheus, if there is one.
        typed: the text that is typed or pasted.
        variables: more environment variables.
    """

    folder: Path
    deployment: Deployment
    port: int
    machine: Path
    releases: Path
    prometheus: str = ""
    typed: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def at(cls, folder: Path, deployment: Deployment) -> Operator:
        """Prepare a clean clone and a machine."""
        clone = folder / "clone"
        clone.mkdir(parents=True)
        for name in ("deploy", "grafana", "lib"):
            (clone / name).symlink_to(REPOSITORY / name)
        machine = installation(folder / "machine").root
        return cls(clone, deployment, deployment.server.port, machine, folder / "releases")

    def run(self, block: Block, more: str = "") -> str:
        """Run a block, check that it succeeds, and return its output.

        Args:
            block: a block of the guide.
            more: commands to run after it in the same shell.
        """
        done = subprocess.run(
            ["bash", "-euc", self.adapted(block) + more],
            cwd=self.folder,
            env=self.environment,
            input=self.typed,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the shell: the tests' Python first on PATH, and the variables that the guide has set."""
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "KAIRO_DOMAIN": f"127.0.0.1:{self.port}",
            "METRICS_AUTH_TOKEN": TOKEN,
            "OLD_TOKEN": TOKEN,
            "NEW_TOKEN": NEW_TOKEN,
            "CRON_SECRET": _CRON_SECRET,
            "VERCEL_AUTOMATION_BYPASS_SECRET": _BYPASS,
            **self.variables,
        }

    def adapted(self, block: Block) -> str:
        """Return a block for this machine: with its addresses, and a scrape every second."""
        text = block.text
        for there, here in (
            (_RELEASES, f"file://{self.releases}"),
            ("linux-amd64", f"linux-{_ARCHITECTURES[platform.machine()]}"),
            (_INSTALL, f"deploy/prometheus/install.sh --root '{self.machine}'"),
            ("https://$KAIRO_DOMAIN", "http://$KAIRO_DOMAIN"),
            ("scheme: https", "scheme: http"),
            ("http://127.0.0.1:9090", self.prometheus or "http://127.0.0.1:9090"),
        ):
            text = text.replace(there, here)
        return re.sub(r"(_interval): \d+s", r"\1: 1s", text)

    @contextlib.contextmanager
    def start(self, block: Block) -> Iterator[PrometheusServer]:
        """Run the block that ends with Prometheus in the foreground, on a free port, until the test's block ends."""
        require("prometheus")
        address = f"127.0.0.1:{free_port()}"
        assert block.text.count("127.0.0.1:9090") == 1
        # exec replaces the shell, so that ending the process ends Prometheus.
        text = block.text.replace("127.0.0.1:9090", address).replace("./prometheus", "exec ./prometheus")
        log = self.folder / "prometheus.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-euc", text], cwd=self.folder, env=self.environment, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            server = PrometheusServer(f"http://{address}", log)
            server.wait_for(lambda: _is_ready(process, server.url, log))
            self.prometheus = server.url
            yield server
        finally:
            process.terminate()
            process.wait()


def _is_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> bool:
    assert process.poll() is None, f"Prometheus ended:\n{log.read_text()[-2000:]}"
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}/-/ready").is_success
    return False
