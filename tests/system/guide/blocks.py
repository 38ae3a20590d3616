"""The test for each block of the guide."""

from __future__ import annotations

import pytest

from tests.system.guide.pages import GUIDES

__all__ = ["CLASSES", "LANGUAGES", "each"]

# A block that is only here or only in the guide fails a test.
CLASSES = {
    # runs unchanged except for this machine's addresses and folders
    "runs": (
        "prerequisites/1",
        "1-install-prometheus/1",
        "1-install-prometheus/2",
        "1-install-prometheus/3",
        "2-configure-systemd/1",
        "option-3-push-where-prometheus-cant-scrape/2",
        "generate-a-secure-token/1",
        "protection-of-the-endpoint/1",
        "rotate-the-token/2",
        "rotate-the-token/3",
        "preview-deployments/2",
        "recommended-alerts/2",
        "test-the-endpoint/1",
        "test-the-endpoint/3",
        "check-in-prometheus/1",
        "troubleshooting/1",
        "prometheus-cant-scrape/1",
        "metrics-are-missing/1",
    ),
    # needs an account, an engine, a cluster or systemd: each command is compared with the help of its program
    "commands": (
        "2-configure-systemd/2",
        "option-3-push-where-prometheus-cant-scrape/1",
        "option-3-push-where-prometheus-cant-scrape/3",
        "configure-it-in-the-application/1",
        "configure-it-in-the-application/2",
        "rotate-the-token/1",
        "rotate-the-token/4",
        "preview-deployments/1",
        "1-install-grafana/1",
        "prometheus-operator/1",
        "prometheus-operator/4",
        "metrics-are-not-available/1",
        "prometheus-cant-scrape/2",
    ),
    # a configuration for Prometheus: promtool
    "configuration": ("2-configure-the-scraping/1", "preview-deployments/3", "several-regions/1"),
    # the same for Prometheus 3: its own promtool
    "newer configuration": ("3-settings-for-prometheus-3/1",),
    # an object for Kubernetes: the schema of its kind
    "object": ("prometheus-operator/2", "prometheus-operator/3"),
    # rules for Prometheus: promtool
    "rules": ("recommended-alerts/1",),
    # queries for a Prometheus that has scraped
    "query": ("useful-promql-queries/1", "check-the-metrics/1"),
    # an excerpt of the metrics page
    "shown": ("test-the-endpoint/2",),
}
LANGUAGES = {
    "runs": "bash",
    "commands": "bash",
    "configuration": "yaml",
    "newer configuration": "yaml",
    "object": "yaml",
    "rules": "yaml",
    "query": "promql",
    "shown": "text",
}


def each(kind: str) -> pytest.MarkDecorator:
    """Parametrize a test with every block of a class, in each language."""
    pairs = [(guide, name) for guide in GUIDES for name in CLASSES[kind]]
    return pytest.mark.parametrize(("guide", "name"), pairs, ids=[f"{guide}-{name}" for guide, name in pairs])
