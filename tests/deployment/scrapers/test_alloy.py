"""Alloy's configuration, checked without Alloy: syntax, names, and its values in a Prometheus."""

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
# The bcrypt hash of the second, with the lowest cost.
CLOUD_TOKEN_HASH = "$2b$04$abcdefghijklmnopqrstuur4lDPUKBXuOQavqPE2aekEmRPQkT602"

# For each block in the configuration, the arguments and blocks that the reference documents. Required ones
# begin with "!". Sources: https://grafana.com/docs/alloy/latest/reference/components/prometheus/, the pages
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
    """Yield every block in a block."""
    for child in block.blocks:
        yield child
        yield from inner(child)


def test_every_name_is_one_that_the_reference_documents() -> None:
    """No argument or block is misspelt, and no required one is missing."""
    for block in inner(read(TEXT, {})):
        documented = DOCUMENTED[block.name].split()
        used = {*block.attributes, *(child.name for child in block.blocks)}
        assert used <= {name.lstrip("!") for name in documented}, block.name
        assert {name[1:] for name in documented if name.startswith("!")} <= used, block.name


def test_the_scraped_samples_go_to_the_writer() -> None:
    """The scrape component forwards to the receiver of the write component, by its label."""
    scrape, write = read(TEXT, {}).blocks
    assert scrape.attributes["forward_to"] == [Reference(f"{write.name}.{write.label}.receiver")]


def test_every_variable_is_explained() -> None:
    """The guide names each variable that the configuration reads, and no other."""
    guide = (REPOSITORY / "docs" / "grafana-cloud.md").read_text()
    variables = [part.partition('"')[0] for part in TEXT.split('sys.env("')[1:]]
    assert len(set(variables)) == 7
    assert [variable for variable in variables if f"`{variable}`" not in guide] == []


@pytest.mark.parametrize(
    "text", ["a = 1 b = 2", "a {\n b = [1\n]\n}", 'a {\n b = {"x" = 1 "y" = 2}\n}', "a = ${b}", "a {"]
)
def test_a_mistake_is_found(text: str) -> None:
    """The grammar refuses what Alloy refuses: two attributes on a line, a missing comma, a missing brace."""
    with pytest.raises(UnexpectedInput):
        read(text, {})


def as_prometheus(alloy: Block) -> dict[str, Any]:
    """Return the same job and remote write as a configuration of Prometheus: Alloy's components use its names."""
    scrape, write = alloy.blocks
    [endpoint] = write.blocks
    kept = {name: value for name, value in scrape.attributes.items() if name not in {"targets", "forward_to"}}
    targets = [{**target} for target in scrape.attributes["targets"]]
    static = [{"targets": [target.pop("__address__")], "labels": target} for target in targets]
    job = {**kept, **{block.name: block.attributes for block in scrape.blocks}, "static_configs": static}
    # Only these values are changed, so that the test neither waits nor needs a certificate.
    job |= {"scrape_interval": "1s", "scrape_timeout": "1s", "scheme": "http"}
    remote = {**endpoint.attributes, **{block.name: block.attributes for block in endpoint.blocks}}
    return {"scrape_configs": [job], "remote_write": [remote]}


@pytest.mark.long
@pytest.mark.prometheus
@pytest.mark.parametrize("bypass", ["", "bypass-secret"])
def test_its_values_bring_the_metrics_to_a_receiver(tmp_path: Path, server: DevServer, bypass: str) -> None:
    """In a Prometheus, the file's job and login reach a protected or a plain deployment, and a receiver."""
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
