"""Alloy's configuration, as far as it can be checked without Alloy: syntax, names, and its values under Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from lark.exceptions import UnexpectedInput

from tests.deployment.scrapers.alloy_syntax import Block, Reference, read
from tests.deployment.scrapers.protected import bypassed_by, in_front_of
from tests.support.dev_server import REPOSITORY, DevServer, dev_server
from tests.support.prometheus_server import prometheus_with

TEXT = (REPOSITORY / "deploy" / "alloy" / "config.alloy").read_text()
TOKEN, CLOUD_TOKEN = "a-token-of-the-tests", "grafana-cloud-token"
# The second, under bcrypt at its least cost.
CLOUD_TOKEN_HASH = "$2b$04$abcdefghijklmnopqrstuur4lDPUKBXuOQavqPE2aekEmRPQkT602"

# What the reference documents, of each block that the configuration has: its arguments and blocks. Those that must be
# there begin with "!". Sources: https://grafana.com/docs/alloy/latest/reference/components/prometheus/, the pages
# prometheus.scrape and prometheus.remote_write.
_CLIENT = (
    "authorization basic_auth oauth2 tls_config bearer_token bearer_token_file enable_http2 follow_redirects"
    " http_headers no_proxy proxy_connect_header proxy_from_environment proxy_url"
)
DOCUMENTED = {
    "prometheus.scrape": (
        f"{_CLIENT} !targets !forward_to body_size_limit clustering enable_compression extra_metrics honor_labels"
        " honor_metadata honor_timestamps job_name label_limit label_name_length_limit label_value_length_limit"
        " metric_name_escaping_scheme metric_name_validation_scheme metrics_path params sample_limit scheme"
        " scrape_classic_histograms scrape_failure_log_file scrape_fallback_protocol scrape_interval"
        " scrape_native_histograms scrape_protocols scrape_timeout target_limit track_timestamps_staleness"
    ),
    "authorization": "type credentials credentials_file",
    "prometheus.remote_write": "external_labels endpoint wal",
    "endpoint": (
        f"{_CLIENT} !url azuread google_iam headers metadata_config name protobuf_message queue_config remote_timeout"
        " round_robin_dns send_exemplars send_native_histograms sigv4 write_relabel_config"
    ),
    "basic_auth": "username password password_file",
}


@pytest.fixture
def server() -> Iterator[DevServer]:
    """Start the dev server and send it one request."""
    with dev_server(env={"METRICS_AUTH_TOKEN": TOKEN}) as server:
        httpx.get(f"{server.url}/api/content", headers={"X-Tenant": "acme"})
        yield server


def inner(block: Block) -> Iterator[Block]:
    """Give every block within one."""
    for child in block.blocks:
        yield child
        yield from inner(child)


def test_every_name_is_one_that_the_reference_documents() -> None:
    """No argument or block is misspelt, and none that is required is missing."""
    for block in inner(read(TEXT, {})):
        documented = DOCUMENTED[block.name].split()
        used = {*block.attributes, *(child.name for child in block.blocks)}
        assert used <= {name.lstrip("!") for name in documented}, block.name
        assert {name[1:] for name in documented if name.startswith("!")} <= used, block.name


def test_what_is_scraped_goes_to_what_is_written() -> None:
    """The one component's receiver is the other one, under its label."""
    scrape, write = read(TEXT, {}).blocks
    assert scrape.attributes["forward_to"] == [Reference(f"{write.name}.{write.label}.receiver")]


def test_every_variable_is_explained() -> None:
    """The guide names each variable that the configuration reads, and no other works."""
    guide = (REPOSITORY / "docs" / "grafana-cloud.md").read_text()
    variables = [part.partition('"')[0] for part in TEXT.split('sys.env("')[1:]]
    assert len(set(variables)) == 7
    assert [variable for variable in variables if f"`{variable}`" not in guide] == []


@pytest.mark.parametrize(
    "text", ["a = 1 b = 2", "a {\n b = [1\n]\n}", 'a {\n b = {"x" = 1 "y" = 2}\n}', "a = ${b}", "a {"]
)
def test_a_mistake_is_found(text: str) -> None:
    """Two attributes on a line, a missing comma, a brace too few: what Alloy refuses, the tests' grammar refuses."""
    with pytest.raises(UnexpectedInput):
        read(text, {})


def as_prometheus(alloy: Block) -> dict[str, Any]:
    """Return the same job and the same sending as Prometheus names them: Alloy's components are Prometheus' own."""
    scrape, write = alloy.blocks
    [endpoint] = write.blocks
    kept = {name: value for name, value in scrape.attributes.items() if name not in {"targets", "forward_to"}}
    targets = [{**target} for target in scrape.attributes["targets"]]
    static = [{"targets": [target.pop("__address__")], "labels": target} for target in targets]
    job = {**kept, **{block.name: block.attributes for block in scrape.blocks}, "static_configs": static}
    # The only values that the test changes, so that it need not wait, nor have a certificate.
    job |= {"scrape_interval": "1s", "scrape_timeout": "1s", "scheme": "http"}
    remote = {**endpoint.attributes, **{block.name: block.attributes for block in endpoint.blocks}}
    return {"scrape_configs": [job], "remote_write": [remote]}


@pytest.mark.prometheus
@pytest.mark.parametrize("bypass", ["", "bypass-secret"])
def test_its_values_bring_the_metrics_to_a_receiver(tmp_path: Path, server: DevServer, bypass: str) -> None:
    """Under Prometheus, job and login of the file reach a protected deployment, or a plain one, and a receiver."""
    gate = bypassed_by(bypass) if bypass else lambda _: True
    (tmp_path / "cloud").mkdir()
    (tmp_path / "cloud" / "prometheus.yml").write_text("scrape_configs: []\n")
    (tmp_path / "cloud" / "web.yml").write_text(yaml.safe_dump({"basic_auth_users": {"123456": CLOUD_TOKEN_HASH}}))
    flags = ["--web.enable-remote-write-receiver", f"--web.config.file={tmp_path / 'cloud' / 'web.yml'}"]
    with (
        in_front_of(server.url, gate, refusal=401) as port,
        prometheus_with(tmp_path / "cloud" / "prometheus.yml", *flags, login=f"123456:{CLOUD_TOKEN}") as cloud,
    ):
        environ = {
            "KAIRO_DOMAIN": f"127.0.0.1:{port}",
            "METRICS_AUTH_TOKEN": TOKEN,
            "VERCEL_AUTOMATION_BYPASS_SECRET": bypass,
            "GRAFANA_CLOUD_PROMETHEUS_URL": f"http://127.0.0.1:{httpx.URL(cloud.url).port}/api/v1/write",
            "GRAFANA_CLOUD_PROMETHEUS_USER": "123456",
            "GRAFANA_CLOUD_TOKEN": CLOUD_TOKEN,
        }
        config = tmp_path / "prometheus.yml"
        config.write_text(yaml.safe_dump(as_prometheus(read(TEXT, environ))))
        with prometheus_with(config):
            labels = f'job="kairo-cms-production", environment="production", instance="127.0.0.1:{port}"'
            cloud.wait_for(lambda: cloud.value(f"http_requests_total{{{labels}}}") == 1)
