"""The operator's guide, followed: its commands in a clean clone, with the dev server and the real Prometheus."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.deployment.scrapers.installation import SCRIPT
from tests.deployment.scrapers.release import release
from tests.support.alert_rules import promtool
from tests.support.prometheus_server import PrometheusServer, require
from tests.system.guide.blocks import CLASSES
from tests.system.guide.operator import NEW_TOKEN, TOKEN, Deployment, Operator, deployment
from tests.system.guide.pages import GUIDES, Guide

pytestmark = pytest.mark.prometheus

BY_HAND = "1-install-prometheus"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Run the deployment once, and send requests to it."""
    require("curl", "curl")
    with deployment(tmp_path_factory.mktemp("deployment")) as running:
        running.use()
        yield running


@pytest.fixture
def operator(tmp_path: Path, deployed: Deployment) -> Operator:
    """Return an operator with a clean clone and an empty machine."""
    return Operator.at(tmp_path, deployed)


@pytest.fixture(scope="module", params=GUIDES, ids=str)
def followed(
    request: pytest.FixtureRequest, deployed: Deployment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Guide, Operator, PrometheusServer]]:
    """Download, configure and start Prometheus with the guide's blocks, and use the metrics that it scrapes."""
    guide: Guide = request.param
    operator = Operator.at(tmp_path_factory.mktemp("by-hand"), deployed)
    [version] = re.findall(r"PROMETHEUS_VERSION:-([\d.]+)", SCRIPT.read_text())
    release(operator.releases, version)
    assert ": OK\n" in operator.run(guide.block(f"{BY_HAND}/1"))
    assert "SUCCESS" in operator.run(guide.block(f"{BY_HAND}/2"))
    assert (operator.folder / "prometheus" / "metrics-token").stat().st_mode & 0o777 == 0o600
    with operator.start(guide.block(f"{BY_HAND}/3")) as prometheus:
        prometheus.wait_for(lambda: prometheus.value("up") == 1)
        deployed.use()
        yield guide, operator, prometheus


def variables_are_set(guide: Guide, operator: Operator) -> None:
    """The variables hold the domain that was written and the token that was typed."""
    operator.typed, operator.variables = f"{TOKEN}\n", {"METRICS_AUTH_TOKEN": ""}
    printed = operator.run(guide.block("prerequisites/1"), "printenv KAIRO_DOMAIN METRICS_AUTH_TOKEN")
    assert re.fullmatch(rf"(your-domain|votre-domaine)\.example\n{TOKEN}\n", printed)


def the_service_is_installed(guide: Guide, operator: Operator) -> None:
    """The unit is installed, with a configuration that promtool accepts, and the token."""
    assert "wrote /etc/systemd/system/prometheus.service\n" in operator.run(guide.block("2-configure-systemd/1"))
    config = operator.machine / "etc" / "prometheus" / "prometheus.yml"
    checked = promtool("check", "config", config)
    assert checked.returncode == 0, checked.stderr
    assert (config.parent / "metrics-token").read_text() == TOKEN


def the_push_arrives(guide: Guide, operator: Operator) -> None:
    """The receiver gets samples, and the response has their number."""
    before = len(operator.deployment.receiver.received)
    output = operator.run(guide.block("option-3-push-where-prometheus-cant-scrape/2"))
    assert re.match(r"pushed [1-9]\d* samples of ", output), output
    assert len(operator.deployment.receiver.received) > before


def a_token_is_made(guide: Guide, operator: Operator) -> None:
    """The token has 256 bits and differs each time."""
    made = {operator.run(guide.block("generate-a-secure-token/1")) for _ in range(2)}
    assert all(re.fullmatch(r"[0-9a-f]{64}\n", token) for token in made)
    assert len(made) == 2


def a_missing_token_is_refused(guide: Guide, operator: Operator) -> None:
    """Without a token there is no page."""
    assert operator.run(guide.block("protection-of-the-endpoint/1")) == "401\n"


def both_tokens_are_good(guide: Guide, operator: Operator) -> None:
    """During a rotation both tokens are accepted; if one is not, the command fails."""
    block = guide.block("rotate-the-token/2")
    assert "token 2 of 2 opens the page" in operator.run(block)
    operator.variables = {"OLD_TOKEN": "0123456789abcdef0123456789abcdef"}
    with pytest.raises(AssertionError, match=r"fail +token"):
        operator.run(block)


def prometheus_gets_the_new_token(guide: Guide, operator: Operator) -> None:
    """A second run of the script replaces only the token."""
    operator.run(guide.block("2-configure-systemd/1"))
    assert operator.run(guide.block("rotate-the-token/3")) == "wrote /etc/prometheus/metrics-token\n"
    assert (operator.machine / "etc" / "prometheus" / "metrics-token").read_text() == NEW_TOKEN


def the_protection_is_passed(guide: Guide, operator: Operator) -> None:
    """With the bypass secret the page is served behind Deployment Protection, and without it nothing is."""
    operator.port = operator.deployment.protected_port
    block = guide.block("preview-deployments/2")
    assert operator.run(block).startswith("# HELP ")
    operator.variables = {"VERCEL_AUTOMATION_BYPASS_SECRET": "another"}
    assert operator.run(block) == ""


def the_rules_are_good(guide: Guide, operator: Operator) -> None:
    """promtool accepts both files."""
    assert operator.run(guide.block("recommended-alerts/2")).count("SUCCESS") == 2


def the_page_comes(guide: Guide, operator: Operator) -> None:
    """The whole page is served, with the excerpt that the guide shows."""
    page = operator.run(guide.block("test-the-endpoint/1"))
    assert page.count("# TYPE ") > 10
    for name in CLASSES["shown"]:
        for line in guide.block(name).text.splitlines():
            assert line.removesuffix(" 1") in page


def doctor_finds_nothing_outside(guide: Guide, operator: Operator) -> None:
    """No check fails, and the page was read."""
    output = operator.run(guide.block("test-the-endpoint/3"))
    assert re.search(r"ok +requests +http_requests_total counts \d+ requests", output)


def doctor_finds_nothing_inside(guide: Guide, operator: Operator) -> None:
    """No check fails, and the deployment's families were found in its namespace."""
    operator.typed = f"{operator.deployment.server.redis_url}\n"
    output = operator.run(guide.block("troubleshooting/1"))
    assert "namespace production" in output
    assert re.search(r"ok +families +\d+ families", output)


def a_wrong_token_gets_a_reason(guide: Guide, operator: Operator) -> None:
    """A good token gets the page; the word "token", as in the old guide, gets a 401 that says what to send."""
    block = guide.block("prometheus-cant-scrape/1")
    assert operator.run(block).startswith("HTTP/1.1 200 OK\n")
    operator.variables = {"METRICS_AUTH_TOKEN": "token"}
    refused = operator.run(block).splitlines()
    assert refused[0].startswith("HTTP/1.1 401 ")
    assert refused[-1] == "send the header 'Authorization: Bearer <token>'"


def a_request_is_counted(guide: Guide, operator: Operator) -> None:
    """The second number is larger by at least the one request between."""

    def counted() -> float:
        printed = operator.run(guide.block("metrics-are-missing/1"))
        found = re.search(r'^http_requests_total\{.*route="/api/content",.*\} (\S+)$', printed, re.MULTILINE)
        assert found, printed
        return float(found[1])

    assert counted() < counted()


RUNS: dict[str, Callable[[Guide, Operator], None]] = {
    "prerequisites/1": variables_are_set,
    "2-configure-systemd/1": the_service_is_installed,
    "option-3-push-where-prometheus-cant-scrape/2": the_push_arrives,
    "generate-a-secure-token/1": a_token_is_made,
    "protection-of-the-endpoint/1": a_missing_token_is_refused,
    "rotate-the-token/2": both_tokens_are_good,
    "rotate-the-token/3": prometheus_gets_the_new_token,
    "preview-deployments/2": the_protection_is_passed,
    "recommended-alerts/2": the_rules_are_good,
    "test-the-endpoint/1": the_page_comes,
    "test-the-endpoint/3": doctor_finds_nothing_outside,
    "troubleshooting/1": doctor_finds_nothing_inside,
    "prometheus-cant-scrape/1": a_wrong_token_gets_a_reason,
    "metrics-are-missing/1": a_request_is_counted,
}
# Blocks that need the Prometheus of the guide, which have their own tests.
WITH_PROMETHEUS = {f"{BY_HAND}/1", f"{BY_HAND}/2", f"{BY_HAND}/3", "check-in-prometheus/1"}


def test_every_block_that_runs_is_run() -> None:
    """Every block in the class "run" has a check here."""
    assert RUNS.keys() | WITH_PROMETHEUS == set(CLASSES["runs"])


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("guide", GUIDES, ids=str)
def test_a_block_does_what_it_is_for(guide: Guide, name: str, operator: Operator) -> None:
    """Pasted into a shell, the block does what the guide says."""
    RUNS[name](guide, operator)


def test_prometheus_installed_by_hand_scrapes(followed: tuple[Guide, Operator, PrometheusServer]) -> None:
    """Prometheus, installed and started as the guide says, has the target up."""
    guide, operator, _ = followed
    [target] = json.loads(operator.run(guide.block("check-in-prometheus/1")))["data"]["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    assert target["labels"] == {
        "environment": "production",
        "instance": f"127.0.0.1:{operator.port}",
        "job": "kairo-cms-production",
    }


def queries(guide: Guide, name: str) -> list[str]:
    """Return the queries of a block, without their comments."""
    bare = re.sub(r"(?m)^#.*\n", "", guide.block(name).text)
    return [query for query in bare.strip().split("\n\n") if query]


@pytest.mark.parametrize("name", CLASSES["query"])
def test_every_query_has_an_answer(followed: tuple[Guide, Operator, PrometheusServer], name: str) -> None:
    """No query fails, and no result is empty or not a number."""
    guide, _, prometheus = followed

    def answered() -> bool:
        answers = [[float(row["value"][1]) for row in prometheus.query(query)] for query in queries(guide, name)]
        return all(numbers and not any(map(math.isnan, numbers)) for numbers in answers)

    assert queries(guide, name)
    prometheus.wait_for(answered)


def test_the_queries_answer_what_they_say(followed: tuple[Guide, Operator, PrometheusServer]) -> None:
    """The numbers match the requests: one in four failed, and every query of the reports was slow."""
    guide, _, prometheus = followed
    requests, latency, errors, slow, share = queries(guide, "useful-promql-queries/1")

    def by(query: str, label: str) -> dict[str, float]:
        return {row["metric"].get(label, ""): float(row["value"][1]) for row in prometheus.query(query)}

    # At first, Prometheus may have scraped only some of the last requests.
    prometheus.wait_for(lambda: by(errors, "").get("") == pytest.approx(25))
    per_minute = by(requests, "route")
    assert per_minute["/api/content"] == pytest.approx(2 * per_minute["/api/flaky"])
    assert 0 < by(latency, "")[""] < 10
    assert by(slow, "model")["Report"] > 0
    assert by(slow, "model")["Entry"] == pytest.approx(0)
    assert by(share, "model")["Report"] == pytest.approx(100)
    assert by(share, "model")["Entry"] == pytest.approx(0)
