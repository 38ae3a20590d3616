"""The manifests for Kubernetes and the Prometheus Operator."""

from __future__ import annotations

import copy
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deployment.hosts.image import Image
from tests.deployment.hosts.manifests import FOLDER, problems, read
from tests.deployment.hosts.variables import is_read
from tests.support.dev_server import REPOSITORY
from tests.support.prometheus_server import require

FILES = sorted(file.name for file in FOLDER.glob("*.yaml"))
EXAMPLE = "secret.yaml.example"
MAKE_RULES = FOLDER / "rules.py"
# As in the operator's guides, with the older field.
PLAIN_MONITOR = """
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: kairo-cms
spec:
  selector:
    matchLabels:
      app: kairo-cms
  endpoints:
  - port: http
    path: /api/metrics
    interval: 30s
    bearerTokenSecret:
      name: metrics-token
      key: token
"""


def objects(kind: str) -> dict[str, dict[str, Any]]:
    """Return all objects of a kind, by name."""
    return {item["metadata"]["name"]: item for file in (*FILES, EXAMPLE) for item in read(file) if item["kind"] == kind}


def container(deployment: dict[str, Any]) -> dict[str, Any]:
    """Return the one container of a Deployment."""
    [found] = deployment["spec"]["template"]["spec"]["containers"]
    return dict(found)


@pytest.mark.parametrize("file", [*FILES, EXAMPLE])
def test_every_manifest_is_accepted(file: str) -> None:
    """The schema of its kind accepts each object, and has all its fields."""
    for manifest in read(file):
        assert problems(manifest) == [], manifest["kind"]


def test_applying_the_whole_folder_keeps_the_secrets() -> None:
    """No file that `kubectl apply -f` reads is a Secret, whose empty values would replace the real ones."""
    taken = [file.name for file in FOLDER.iterdir() if file.suffix in {".json", ".yaml", ".yml"}]
    assert "Secret" not in {item["kind"] for file in taken for item in read(file)}


def _rename(path: str, name: str) -> Callable[[dict[str, Any]], None]:
    """Give a field another name."""

    def change(manifest: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        place: Any = manifest
        for parent in parents:
            place = place[int(parent) if parent.isdecimal() else parent]
        place[name] = place.pop(last)

    return change


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("app.yaml", _rename("spec.template.spec.containers.0.livenessProbe", "livelinessProbe")),
        ("app.yaml", lambda manifest: manifest["spec"].update(replicas="two")),
        ("app.yaml", lambda manifest: manifest["spec"].pop("selector")),
        (EXAMPLE, _rename("stringData", "strings")),
        ("servicemonitor.yaml", _rename("spec.endpoints.0.scrapeTimeout", "timeout")),
        ("servicemonitor.yaml", lambda manifest: manifest["spec"]["endpoints"][0].update(interval="30 seconds")),
        ("servicemonitor.yaml", lambda manifest: manifest["spec"]["endpoints"][0]["authorization"].update(token="x")),
        ("scrapeconfig.yaml", lambda manifest: manifest["spec"].update(scheme="tls")),
        ("probe.yaml", lambda manifest: manifest["spec"]["prober"].pop("url")),
        ("prometheusrule.yaml", lambda manifest: manifest["spec"]["groups"][0]["rules"][0].pop("expr")),
        ("prometheusrule.yaml", lambda manifest: manifest["spec"]["groups"][0].update(interval="often")),
    ],
)
def test_a_broken_manifest_is_refused(file: str, change: Callable[[dict[str, Any]], None]) -> None:
    """The check finds a misspelt field, a wrong value and a missing part."""
    manifest = copy.deepcopy(read(file)[0])
    change(manifest)
    assert problems(manifest)


@pytest.mark.parametrize("monitor", [read("servicemonitor.yaml")[0], yaml.safe_load(PLAIN_MONITOR)])
def test_the_monitor_leads_to_one_pod_and_its_token(monitor: dict[str, Any]) -> None:
    """A ServiceMonitor selects the one Service and replica with the token, by label, port name and key."""
    assert problems(monitor) == []
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    [service] = [item for item in objects("Service").values() if wanted <= item["metadata"]["labels"].items()]
    [endpoint] = monitor["spec"]["endpoints"]
    [port] = [port for port in service["spec"]["ports"] if port["name"] == endpoint["port"]]
    pods = service["spec"]["selector"].items()
    [deployment] = [
        item
        for item in objects("Deployment").values()
        if pods <= item["spec"]["template"]["metadata"]["labels"].items()
    ]
    # Each pod's page has the sum of all instances: with a second pod everything would be counted twice.
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert [item["name"] for item in container(deployment)["ports"]] == [port["targetPort"]]
    key = endpoint["authorization"]["credentials"] if "authorization" in endpoint else endpoint["bearerTokenSecret"]
    [token] = [item for item in container(deployment)["env"] if item["name"] == "METRICS_AUTH_TOKEN"]
    assert token["valueFrom"]["secretKeyRef"] == key
    assert key["key"] in objects("Secret")[key["name"]]["stringData"]


def test_services_and_deployments_belong_together() -> None:
    """Each Service selects the pods of its own Deployment and no others."""
    deployments, services = objects("Deployment"), objects("Service")
    assert set(deployments) == set(services) == {"kairo-cms", "kairo-cms-metrics"}
    for name, service in services.items():
        found = [
            other
            for other, deployment in deployments.items()
            if service["spec"]["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert found == [name]
        spec = deployments[name]["spec"]
        assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]


@pytest.mark.long
@pytest.mark.parametrize("name", ["kairo-cms", "kairo-cms-metrics"])
def test_a_pod_may_do_no_more_than_it_needs(name: str, image: Image) -> None:
    """A pod runs as the image's user, writes only to /tmp, has no rights and a memory limit."""
    pod = objects("Deployment")[name]["spec"]["template"]["spec"]
    [app] = pod["containers"]
    security = pod["securityContext"]
    assert f"{security['runAsUser']}:{security['runAsGroup']}" == image.user
    assert security["runAsNonRoot"]
    assert app["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [mount["mountPath"] for mount in app["volumeMounts"]] == ["/tmp"]
    assert app["resources"]["limits"]["memory"]
    assert not pod["automountServiceAccountToken"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        # Without ?ready=1, so that an unreachable Redis takes no pod out of service.
        assert app[probe]["httpGet"] == {"path": "/api/health", "port": "http"}
    assert str(app["ports"][0]["containerPort"]) == image.environment["PORT"]


def test_every_variable_is_read_and_every_key_is_in_the_example() -> None:
    """Every variable is read, every key of the Secret is in the example, and the example has no usable token."""
    secrets = objects("Secret")
    for deployment in objects("Deployment").values():
        for variable in container(deployment)["env"]:
            assert is_read(variable["name"])
            if "valueFrom" in variable:
                reference = variable["valueFrom"]["secretKeyRef"]
                assert reference["key"] in secrets[reference["name"]]["stringData"]
    assert {value for secret in secrets.values() for value in secret["stringData"].values()} == {""}


def test_only_the_scraped_pod_has_the_token() -> None:
    """The pods that the public can reach can't show the metrics."""
    variables = {name: {item["name"] for item in container(it)["env"]} for name, it in objects("Deployment").items()}
    assert "METRICS_AUTH_TOKEN" not in variables["kairo-cms"]
    assert "METRICS_AUTH_TOKEN" in variables["kairo-cms-metrics"]


SUBSTITUTED = {"IMAGE": "registry.example.com:5000/kairo-cms:1.0", "DOMAIN": "shop.example.com"}


def test_no_file_is_edited() -> None:
    """The commands of the guide fill in image and domain, and the result is accepted."""
    guide = (FOLDER / "README.md").read_text()
    commands = re.findall(r"^(sed .*) \| kubectl apply -f -$", guide, re.MULTILINE)
    text = ""
    for command in commands:
        ran = subprocess.run(
            command, shell=True, cwd=REPOSITORY, env={**os.environ, **SUBSTITUTED}, capture_output=True, check=True
        )
        text += ran.stdout.decode()
    manifests = list(filter(None, yaml.safe_load_all(text)))
    assert {item["kind"] for item in manifests} == {"Deployment", "Service", "ScrapeConfig", "Probe"}
    assert [found for manifest in manifests for found in problems(manifest)] == []
    assert text.count(f"image: {SUBSTITUTED['IMAGE']}\n") == 2
    assert "kairo-cms:local" not in text
    assert "example.org" not in text
    assert text.count(SUBSTITUTED["DOMAIN"]) == 2


def test_the_rules_are_those_of_grafana() -> None:
    """`prometheusrule.yaml` matches grafana/rules/; after a change run `make kubernetes-rules`."""
    files = sorted((REPOSITORY / "grafana" / "rules").glob("*.yml"))
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    assert read("prometheusrule.yaml")[0]["spec"]["groups"] == groups
    made = _made(REPOSITORY / "grafana" / "rules", FOLDER / "prometheusrule.yaml", check=True)
    assert made.returncode == 0, made.stderr


def _made(rules: Path, target: Path, *, check: bool = False) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(MAKE_RULES), "--rules", str(rules), "--target", str(target)]
    return subprocess.run([*command, *(["--check"] if check else [])], capture_output=True, text=True, check=False)


RULE = """
groups:
  - name: first
    interval: 30s
    rules:
      - alert: Broken
        expr: |
          sum(rate(api_errors_total[5m]))
            > 0.05
        for: 5m
        annotations: {summary: "it's {{ $value }} — see \\\"runbook\\\""}
"""


@pytest.mark.prometheus
def test_rules_become_a_manifest_unchanged(tmp_path: Path) -> None:
    """The manifest has every rule unchanged, templates included; promtool accepts its groups as a rule file."""
    (tmp_path / "a.yml").write_text(RULE)
    (tmp_path / "b.yml").write_text(RULE.replace("first", "second"))
    target = tmp_path / "made.yaml"
    assert _made(tmp_path, target).returncode == 0
    [manifest] = yaml.safe_load_all(target.read_text())
    assert problems(manifest) == []
    [group] = yaml.safe_load(RULE)["groups"]
    assert manifest["spec"]["groups"] == [group, {**group, "name": "second"}]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(manifest["spec"]))
    checked = subprocess.run(
        [require("promtool"), "check", "rules", tmp_path / "rules.yaml"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert _made(tmp_path, target, check=True).returncode == 0
    (tmp_path / "b.yml").write_text(RULE.replace("first", "third"))
    assert _made(tmp_path, target, check=True).returncode == 1


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, "there are no files with rules"),
        ({"a.yml": "rules: []"}, "a.yml has no groups"),
        ({"a.yml": RULE, "b.yml": RULE}, "two groups have the name first"),
    ],
)
def test_rules_that_make_no_manifest_are_refused(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    """An empty folder and two groups with one name are errors, and nothing is written."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    made = _made(tmp_path, tmp_path / "made.yaml")
    assert made.returncode == 2
    assert expected in made.stderr
    assert not (tmp_path / "made.yaml").exists()
