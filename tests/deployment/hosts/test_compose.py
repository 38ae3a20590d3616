"""compose.yaml and the files that it mounts: the app, Redis, Prometheus and Grafana on one machine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from lib.kairo_metrics.config.settings import Settings
from tests.deployment.hosts.compose import COMPOSE_FILE, Compose, MissingVariable
from tests.deployment.hosts.image import Image
from tests.deployment.hosts.variables import is_read
from tests.support.dev_server import REPOSITORY
from tests.support.prometheus_server import prometheus_server, require

pytestmark = pytest.mark.long

TOKEN = "a-token-of-the-environment"
PROMETHEUS = REPOSITORY / "deploy" / "compose" / "prometheus.yml"
CHECKER = Path(sys.executable).parent / "check-jsonschema"
SCHEMA = ("--builtin-schema", "vendor.compose-spec")


@pytest.fixture
def compose() -> Compose:
    """Read the file with only the token set."""
    return Compose.read({"METRICS_AUTH_TOKEN": TOKEN})


def adapted(folder: Path, image_port: int) -> dict[str, Any]:
    """Return the configuration of Prometheus, with paths of this machine instead of those in the containers."""
    (folder / "token").write_text(TOKEN)
    text = PROMETHEUS.read_text()
    for inside, here in (
        ("/run/secrets/metrics-token", str(folder / "token")),
        ("/etc/prometheus/kairo", str(REPOSITORY / "grafana")),
        ("app:8000", f"127.0.0.1:{image_port}"),
    ):
        assert inside in text
        text = text.replace(inside, here)
    document: dict[str, Any] = yaml.safe_load(text)
    return document


def test_it_is_a_compose_file(tmp_path: Path) -> None:
    """The Compose Specification's schema accepts the file, and refuses a misspelt one."""
    broken = tmp_path / "compose.yaml"
    broken.write_text(COMPOSE_FILE.read_text().replace("depends_on:", "depend_on:"))
    for file, code in ((COMPOSE_FILE, 0), (broken, 1)):
        checked = subprocess.run([str(CHECKER), *SCHEMA, str(file)], capture_output=True, text=True, check=False)
        assert checked.returncode == code, checked.stdout


def test_one_variable_is_all_it_needs(compose: Compose) -> None:
    """Without a token nothing starts, and the message says how to make one; everything else has a default."""
    with pytest.raises(MissingVariable, match=r"METRICS_AUTH_TOKEN: .*openssl rand -hex 32"):
        Compose.read({})
    assert "$" not in str(compose.document)


def test_the_app_gets_settings_that_it_reads(compose: Compose) -> None:
    """The app reads every variable that it gets, and they are complete."""
    environment = compose.service("app")["environment"]
    assert [variable for variable in environment if not is_read(variable)] == []
    settings = Settings.from_env(environment)
    assert (settings.enabled, settings.auth_tokens, settings.namespace) == (True, (TOKEN,), "production")
    assert settings.redis_url == "redis://redis:6379/0"


def test_nothing_is_reached_from_outside(compose: Compose) -> None:
    """Every port is bound to the loopback address; Redis has no port."""
    ports = {name: service.get("ports", []) for name, service in compose.document["services"].items()}
    assert ports == {
        "app": ["127.0.0.1:8000:8000"],
        "redis": [],
        "prometheus": ["127.0.0.1:9090:9090"],
        "grafana": ["127.0.0.1:3000:3000"],
    }


def test_what_is_pulled_has_a_version(compose: Compose) -> None:
    """Every image has a version, so that no image changes by itself."""
    images = [service["image"] for service in compose.document["services"].values() if "image" in service]
    assert len(images) == 3
    assert all(re.search(r":v?\d+\.\d+", image) for image in images)


def test_what_is_mounted_exists(compose: Compose) -> None:
    """Docker would create an empty folder for a missing path; the rules are where Prometheus looks for them."""
    for service in ("prometheus", "grafana"):
        for path in compose.mounts(service).values():
            assert path.exists(), path
    [rules] = yaml.safe_load(PROMETHEUS.read_text())["rule_files"]
    assert rules.startswith("/etc/prometheus/kairo/rules/")
    assert compose.mounts("prometheus")["/etc/prometheus/kairo"] == REPOSITORY / "grafana"


def test_prometheus_has_the_token_of_the_app(compose: Compose) -> None:
    """The app and, through a file, Prometheus get the token from one variable."""
    [secret] = compose.service("prometheus")["secrets"]
    assert compose.document["secrets"][secret["source"]] == {"environment": "METRICS_AUTH_TOKEN"}
    [job, _] = yaml.safe_load(PROMETHEUS.read_text())["scrape_configs"]
    assert job["authorization"] == {"credentials_file": f"/run/secrets/{secret['source']}"}
    # Prometheus' image runs as the user nobody; Compose creates the file for the user that is named.
    assert (secret["uid"], secret["mode"]) == ("65534", 0o400)


def test_grafana_finds_prometheus_and_the_dashboards(compose: Compose) -> None:
    """The data source has a fixed uid and the address of Prometheus, and the dashboards' folder is mounted."""
    mounts = compose.mounts("grafana")
    provisioning = mounts["/etc/grafana/provisioning"]
    [source] = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert (source["type"], source["uid"], source["url"]) == (
        "prometheus",
        "kairo-prometheus",
        "http://prometheus:9090",
    )
    interval = yaml.safe_load(PROMETHEUS.read_text())["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == interval
    [provider] = yaml.safe_load((provisioning / "dashboards" / "kairo.yml").read_text())["providers"]
    assert mounts[provider["options"]["path"]] == REPOSITORY / "grafana"


@pytest.mark.prometheus
def test_promtool_accepts_the_configuration(tmp_path: Path) -> None:
    """promtool checks the configuration, the file of the token and the rules."""
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump(adapted(tmp_path, 8000)))
    checked = subprocess.run(
        [require("promtool"), "check", "config", file], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.prometheus
def test_prometheus_scrapes_the_image(image: Image, compose: Compose, redis_url: str, tmp_path: Path) -> None:
    """A real Prometheus with this configuration and the token scrapes the process of the image."""
    environment = {**compose.service("app")["environment"], "REDIS_URL": redis_url}
    with image.run(environment) as server:
        assert httpx.get(f"{server.url}/api/content", headers={"X-Tenant": "acme"}).is_success
        [job, _] = adapted(tmp_path, server.port)["scrape_configs"]
        with prometheus_server(tmp_path, yaml.safe_dump([job])) as prometheus:
            query = 'http_requests_total{job="kairo-cms",route="/api/content"}'
            prometheus.wait_for(lambda: prometheus.value(query) == 1)
            assert prometheus.value('up{job="kairo-cms"}') == 1
