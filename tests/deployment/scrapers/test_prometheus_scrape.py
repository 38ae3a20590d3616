"""The installed configuration in the real Prometheus, with the real functions as target."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.deployment.scrapers.installation import SCRIPT, Installation, installation
from tests.deployment.scrapers.protected import bypassed_by, in_front_of
from tests.support.dev_server import REPOSITORY, DevServer, dev_server
from tests.support.prometheus_server import PrometheusServer, prometheus_with, require
from tests.support.receivers import fetched, victoria_metrics

pytestmark = pytest.mark.prometheus

KUBERNETES = REPOSITORY / "deploy" / "kubernetes"
# Characters that are special to a shell, to YAML and to awk.
TOKEN = r"""q"u'o\t$e`d&|;#%{}~"""


@pytest.fixture(scope="module")
def server() -> Iterator[DevServer]:
    """Start the dev server with a token of special characters, and send it one request."""
    with dev_server(env={"METRICS_AUTH_TOKEN": TOKEN}) as server:
        httpx.get(f"{server.url}/api/content", headers={"X-Tenant": "acme"})
        yield server


@pytest.fixture
def machine(tmp_path: Path) -> Installation:
    """Return a machine with Prometheus."""
    return installation(tmp_path / "machine")


def scraped(prometheus: PrometheusServer) -> dict[str, Any]:
    """Wait for the first scrape of the one target, and return the target."""
    prometheus.wait_for(lambda: [target["health"] for target in prometheus.targets()] not in ([], ["unknown"]))
    [target] = prometheus.targets()
    return target


def test_what_was_installed_scrapes(machine: Installation, server: DevServer) -> None:
    """The installed configuration, unchanged, scrapes the deployment's metrics with their environment."""
    machine.run(METRICS_AUTH_TOKEN=TOKEN, KAIRO_DOMAIN=f"staging=http://127.0.0.1:{server.port}")
    machine.shorten_interval()
    with prometheus_with(machine.config) as prometheus:
        labels = f'job="kairo-cms-production", environment="staging", instance="127.0.0.1:{server.port}"'
        prometheus.wait_for(lambda: prometheus.value(f"up{{{labels}}}") == 1)
        prometheus.wait_for(lambda: prometheus.value(f"http_requests_total{{{labels}}}") == 1)


def test_what_was_installed_scrapes_with_prometheus_3(tmp_path: Path, server: DevServer) -> None:
    """Prometheus 3.5 takes the installed configuration as it is, and with the settings for it in the comment."""
    machine = installation(tmp_path / "machine", "forky")
    machine.run(METRICS_AUTH_TOKEN=TOKEN, KAIRO_DOMAIN=f"http://127.0.0.1:{server.port}")
    text = machine.config.read_text()
    told = re.sub(r"(?m)^    #   ((?:scrape_pro|fallback|metric_name)\w+: )", r"    \1", text)
    assert told.count("PrometheusText0.0.4") > 1
    assert told != text
    machine.config.write_text(told)
    machine.shorten_interval()
    with prometheus_with(machine.config, program=fetched("forky", "prometheus")) as prometheus:
        assert (scraped(prometheus)["health"], prometheus.targets()[0]["lastError"]) == ("up", "")
        prometheus.wait_for(lambda: prometheus.value("http_requests_total") == 1)
    tool = fetched("forky", "promtool")
    later = re.sub(r"(?m)^    #   (scrape_native)", r"    \1", text)
    machine.config.write_text(later)
    checked = subprocess.run([tool, "check", "config", machine.config], capture_output=True, text=True, check=False)
    assert "field scrape_native_histograms not found" in checked.stderr  # as the comment says of 3.5


@pytest.mark.long
def test_what_was_installed_scrapes_with_victoria_metrics(machine: Installation, server: DevServer) -> None:
    """VictoriaMetrics takes the same file, if it is told to pass over what is only for Prometheus."""
    machine.run(METRICS_AUTH_TOKEN=TOKEN, KAIRO_DOMAIN=f"http://127.0.0.1:{server.port}")
    machine.shorten_interval()
    with victoria_metrics(machine.config, "-promscrape.config.strictParse=false") as victoria:
        victoria.wait_for(lambda: victoria.value("http_requests_total") == 1)


@pytest.mark.parametrize("name", ["servicemonitor", "scrapeconfig"])
def test_prometheus_3_takes_the_settings_of_the_manifests(tmp_path: Path, name: str) -> None:
    """promtool 3.5 accepts what the operator makes of the settings for Prometheus 3."""
    [spec] = [item["spec"] for item in yaml.safe_load_all((KUBERNETES / f"{name}.yaml").read_text()) if item]
    job = {
        "job_name": name,
        "scrape_protocols": spec["scrapeProtocols"],
        "fallback_scrape_protocol": spec["fallbackScrapeProtocol"],
    }
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": [job]}))
    command = [fetched("forky", "promtool"), "check", "config", str(tmp_path / "prometheus.yml")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_new_token_is_used_without_a_reload(machine: Installation, server: DevServer) -> None:
    """With a wrong token the target is down with 401; after the script has run with the right one, it is up."""
    domain = f"http://127.0.0.1:{server.port}"
    machine.run(METRICS_AUTH_TOKEN="wrong-token", KAIRO_DOMAIN=domain)
    config = machine.config.read_bytes()
    machine.shorten_interval()
    with prometheus_with(machine.config) as prometheus:
        target = scraped(prometheus)
        assert (target["health"], prometheus.value("up")) == ("down", 0)
        assert "401 Unauthorized" in target["lastError"]
        machine.config.write_bytes(config)  # as installed; the running Prometheus keeps its interval of a second
        assert machine.run(METRICS_AUTH_TOKEN=TOKEN, KAIRO_DOMAIN=domain) == "wrote /etc/prometheus/metrics-token\n"
        prometheus.wait_for(lambda: prometheus.value("up") == 1)


@pytest.mark.long
def test_a_file_of_ones_own_adds_targets_while_it_runs(machine: Installation, server: DevServer) -> None:
    """Another region is one more file beside the script's, with its own labels, and needs no reload."""
    machine.run(METRICS_AUTH_TOKEN=TOKEN, KAIRO_DOMAIN=f"http://127.0.0.1:{server.port}")
    machine.shorten_interval()
    with prometheus_with(machine.config) as prometheus:
        prometheus.wait_for(lambda: prometheus.value("count(up == 1)") == 1)
        labels = {"environment": "production", "region": "fra1", "__scheme__": "http"}
        own = [{"targets": [f"localhost:{server.port}"], "labels": labels}]
        (machine.folder / "targets" / "own.json").write_text(json.dumps(own))
        prometheus.wait_for(lambda: prometheus.value('up{region="fra1"}') == 1)
        assert prometheus.value("count(up == 1)") == 2


@pytest.mark.long
def test_a_protected_deployment_is_reached_with_the_bypass(machine: Installation, server: DevServer) -> None:
    """A stand-in for Deployment Protection refuses the bearer alone, and accepts it with the query parameter."""
    with in_front_of(server.url, bypassed_by("bypass-secret"), refusal=401) as port:
        domain = f"http://127.0.0.1:{port}"
        assert httpx.get(f"{domain}/api/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 401
        machine.run(METRICS_AUTH_TOKEN=TOKEN, KAIRO_DOMAIN=domain, VERCEL_AUTOMATION_BYPASS_SECRET="bypass-secret")
        machine.shorten_interval()
        with prometheus_with(machine.config) as prometheus:
            target = scraped(prometheus)
            assert (target["health"], target["lastError"]) == ("up", "")
            assert target["scrapeUrl"].endswith("/api/metrics?x-vercel-protection-bypass=bypass-secret")


@pytest.mark.parametrize("value", ["bypass-secret", "", "a&name[]=http_requests_total"])
def test_the_endpoint_ignores_the_bypass(server: DevServer, value: str) -> None:
    """The page is the same with the query parameter, whatever its value, and still needs the bearer."""
    address, parameter = f"{server.url}/api/metrics", {"x-vercel-protection-bypass": value}
    answer = httpx.get(address, params=parameter, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert "http_requests_total{" in answer.text
    assert "http_request_duration_seconds_bucket{" in answer.text
    assert httpx.get(address, params=parameter).status_code == 401


@pytest.mark.long
def test_a_redirect_is_shown_and_not_followed(machine: Installation, server: DevServer) -> None:
    """A redirecting domain is a target that is down with its status, and gets no token at the other domain."""
    with in_front_of(server.url, lambda _: False, refusal=308) as port:
        machine.run(METRICS_AUTH_TOKEN=TOKEN, KAIRO_DOMAIN=f"http://127.0.0.1:{port}")
        machine.shorten_interval()
        with prometheus_with(machine.config) as prometheus:
            target = scraped(prometheus)
            assert target["health"] == "down"
            assert "308 Permanent Redirect" in target["lastError"]


@pytest.mark.long
def test_the_template_has_the_token_in_it(tmp_path: Path, server: DevServer) -> None:
    """The guide's command renders a file that only its owner can read, that promtool accepts and that scrapes."""
    require("envsubst", "gettext-base")
    readme = (SCRIPT.parent / "README.md").read_text()
    [command] = [line for line in readme.splitlines() if line.startswith("(umask 077; envsubst")]
    (tmp_path / "deploy").symlink_to(REPOSITORY / "deploy")
    variables = {"METRICS_AUTH_TOKEN": TOKEN, "KAIRO_DOMAIN": f"127.0.0.1:{server.port}"}
    subprocess.run(["bash", "-c", command], cwd=tmp_path, env={"PATH": os.environ["PATH"], **variables}, check=True)

    config = tmp_path / "prometheus.yml"
    assert config.stat().st_mode & 0o777 == 0o600
    subprocess.run([require("promtool"), "check", "config", config], check=True, capture_output=True)
    config.write_text(config.read_text().replace("https", "http").replace("30s", "1s").replace("10s", "1s"))
    with prometheus_with(config) as prometheus:
        prometheus.wait_for(lambda: prometheus.value('up{environment="production"}') == 1)


@pytest.mark.long
def test_a_variable_in_bearer_token_is_not_replaced(tmp_path: Path, server: DevServer) -> None:
    """The token is in a file because Prometheus replaces no variable in `bearer_token`."""
    config = tmp_path / "prometheus.yml"
    config.write_text(f"""
        scrape_configs:
          - job_name: guide
            metrics_path: /api/metrics
            scrape_interval: 1s
            scrape_timeout: 1s
            static_configs: [{{targets: ["127.0.0.1:{server.port}"]}}]
            bearer_token: '${{METRICS_AUTH_TOKEN}}'
        """)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("METRICS_AUTH_TOKEN", TOKEN)
        with prometheus_with(config) as prometheus:
            assert "401 Unauthorized" in scraped(prometheus)["lastError"]
