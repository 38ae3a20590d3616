"""Somebody who follows the guide: a system to follow it on, and a shell in a clean folder."""

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

from lib.kairo_metrics.dev.private_redis import free_port
from tests.deployment.scrapers.installation import installation
from tests.deployment.scrapers.protected import in_front_of
from tests.support.dev_server import REPOSITORY, DevServer, dev_server
from tests.support.lab_project import lab_project
from tests.support.prometheus_server import PrometheusServer, require
from tests.support.write_receiver import WriteReceiver, write_receiver
from tests.system.guide.pages import Block

__all__ = ["NEW_TOKEN", "TOKEN", "Deployment", "Operator", "deployment"]

TOKEN, NEW_TOKEN = "9f1c2ab47d6e803b5f7ac04e1d92b683", "47d6e803b5f7ac04e1d92b6839f1c2ab"
_BYPASS, _CRON_SECRET = "bypass-secret", "cron-secret-0123456789"
# Of the releases; the guide's download is for the first.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_RELEASES = "https://github.com/prometheus/prometheus/releases/download"
_INSTALL = "sudo --preserve-env=KAIRO_DOMAIN,METRICS_AUTH_TOKEN deploy/prometheus/install.sh"


@dataclass(frozen=True, slots=True)
class Deployment:
    """What the guide is followed on, in the middle of a rotation: it accepts two tokens.

    Args:
        server: the functions, among them one that fails and one whose query is slow.
        receiver: takes what is pushed.
        protected_port: leads to the server as Deployment Protection does.
    """

    server: DevServer
    receiver: WriteReceiver
    protected_port: int

    def use(self) -> None:
        """Send it requests that succeed, fail and dawdle."""
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
    """Runs blocks of the guide, with this machine's addresses and folders for those in them.

    Args:
        folder: where the blocks run; it has what a clone has, as links.
        deployment: what they are about.
        port: where it is on 127.0.0.1, unless it is to be reached in another way.
        machine: stands for the root of the file system where something is installed.
        releases: Prometheus' releases, as the project publishes them.
        prometheus: the address of the running Prometheus, if there is one.
        typed: what is typed or pasted.
        variables: more of the environment.
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
        """Prepare a clone without anything else, and a machine."""
        clone = folder / "clone"
        clone.mkdir(parents=True)
        for name in ("deploy", "grafana", "lib"):
            (clone / name).symlink_to(REPOSITORY / name)
        machine = installation(folder / "machine").root
        return cls(clone, deployment, deployment.server.port, machine, folder / "releases")

    def run(self, block: Block, more: str = "") -> str:
        """Run a block, see it succeed, and return what it prints.

        Args:
            block: of the guide.
            more: commands that follow in the same shell.
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
        """What the shell has: the tests' Python first, and the variables that the guide has set so far."""
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
        """Return a block for this machine: its addresses, and a scrape each second."""
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
        # It takes the place of the shell, so that it is the process to end.
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
