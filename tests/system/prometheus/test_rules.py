"""The alert rules, tested by promtool: each fires when it should, and only then."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana import CMS
from lib.kairo_metrics.dev.grafana.system import System
from lib.kairo_metrics.dev.grafana.system_files import files_of
from tests.support.alert_rules import FILES, RULES, promtool, rules
from tests.support.dev_server import REPOSITORY
from tests.support.receivers import fetched
from tests.support.variants import variants

pytestmark = pytest.mark.prometheus

README = REPOSITORY / "grafana" / "README.md"
TESTS = sorted((RULES / "tests").glob("*.yml"))


def case(name: str) -> dict[str, Any]:
    """Return the one test group with that name, in its own file."""
    files = [yaml.safe_load(file.read_text()) for file in TESTS]
    [found] = [{**file, "tests": [group]} for file in files for group in file["tests"] if group["name"] == name]
    return found


def steps(name: str) -> list[dict[str, Any]]:
    """Return the steps of that test group about alerts."""
    asked: list[dict[str, Any]] = case(name)["tests"][0]["alert_rule_test"]
    return asked


def test_prometheus_takes_the_rules() -> None:
    """promtool accepts both files, and its linter finds nothing."""
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", *FILES)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_prometheus_3_takes_the_rules() -> None:
    """promtool 3.5 accepts the same files, and its linter finds nothing either."""
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", *FILES, program=fetched("forky", "promtool"))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_the_rules_do_what_their_tests_say(file: Path) -> None:
    """With generated series every alert has the expected state at every time of the tests."""
    tested = promtool("test", "rules", file)
    assert tested.returncode == 0, tested.stdout + tested.stderr


SHOP = System(job="shop-.*", title="Shop", prefix="shop_")


def renamed(text: str) -> str:
    """Return a test of the CMS's rules as one of the shop's: other jobs, and the metrics' names with the prefix."""
    names = {"kairo-cms.*": SHOP.job, "kairo-cms": "shop-web", "kairo_cms": SHOP.slug, CMS.runbooks: SHOP.runbooks}
    for ours, theirs in names.items():
        text = text.replace(ours, theirs)
    return SHOP.named(text)


# One file shows in make test that the renamed rules work; the others take promtool long.
RENAMED = [file for file in TESTS if file.stem == "errors"]


@pytest.mark.parametrize("file", variants(TESTS, RENAMED), ids=lambda file: file.stem)
def test_the_rules_of_another_system_do_the_same(file: Path, tmp_path: Path) -> None:
    """A shop's rules pass the same tests with the shop's jobs and names, and none of them is about the CMS."""
    for name in ("rules/alerts.yml", "rules/recording.yml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(files_of(SHOP)[name])
    (tmp_path / "rules" / "tests").mkdir()
    test = tmp_path / "rules" / "tests" / file.name
    test.write_text(renamed(file.read_text()))
    assert "kairo-cms" not in test.read_text()
    tested = promtool("test", "rules", test)
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize("name", rules("alert"))
def test_every_alert_is_silent_fires_and_resolves(name: str) -> None:
    """Each alert has a test in which it is silent just below its threshold, fires above it, and resolves."""
    fires = [bool(step["exp_alerts"]) for step in steps(name) if step["alertname"] == name]
    assert (fires[0], any(fires), fires[-1]) == (False, True, False)


@pytest.mark.parametrize("state", ["new", "since hours"])
def test_no_alert_fires_without_traffic(state: str) -> None:
    """The tests of an idle system check every alert."""
    asked = steps(f"quiet: {state}")
    assert {step["alertname"] for step in asked} == rules("alert").keys()
    assert not any(step["exp_alerts"] for step in asked)


@pytest.mark.parametrize("expression", ["vector(0) > 1", "vector(1)"], ids=["never", "always"])
@pytest.mark.parametrize("name", rules("alert"))
def test_the_tests_notice_a_broken_alert(name: str, expression: str, tmp_path: Path) -> None:
    """An alert that never or always fires fails its own test; only that test is run, because all take long."""
    broken = {**rules("alert")[name], "expr": expression}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "broken", "rules": [broken]}]}))
    judged = case(name)
    [group] = judged["tests"]
    group["alert_rule_test"] = [step for step in group["alert_rule_test"] if step["alertname"] == name]
    group.pop("promql_expr_test", None)  # checks a recording rule
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "case.yml").write_text(
        yaml.safe_dump({**judged, "rule_files": ["../rules.yml"], "group_eval_order": ["broken"]})
    )
    tested = promtool("test", "rules", tmp_path / "tests" / "case.yml")
    assert (tested.returncode, f"alertname: {name}" in tested.stdout + tested.stderr) == (1, True), (
        tested.stdout + tested.stderr
    )


@pytest.mark.parametrize("name", rules("alert"))
def test_an_alert_says_what_it_is_about(name: str) -> None:
    """Each has a severity, a summary, a description with the system's name, and a link to its runbook."""
    rule = rules("alert")[name]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert "$labels.job" in rule["annotations"]["description"] or "absent(" in rule["expr"]
    assert rule["annotations"]["runbook_url"].endswith(f"#{name.lower()}")
    assert "$externalLabels.runbooks" in rule["annotations"]["runbook_url"]


def test_the_guides_alerts_keep_their_names_and_their_meaning() -> None:
    """HighErrorRate is 5% in 5 minutes, SlowQueries a p95 of one second in 5 minutes; both warn after 5 minutes."""
    for name, group, line in (("HighErrorRate", "api_errors_total", 0.05), ("SlowQueries", "tenant_db_query", 1)):
        rule = rules("alert")[name]
        assert rule["for"] == "5m"
        assert rule["labels"] == {"severity": "warning"}
        assert group in rule["expr"]
        assert "[5m]" in rule["expr"]
        assert float(rule["expr"].rpartition(">")[2]) == line


def test_every_recorded_rule_is_used() -> None:
    """Every recording rule is used by an alert."""
    expressions = "\n".join(rule["expr"] for rule in rules("alert").values())
    assert {name for name in rules("record") if name not in expressions} == set()


def test_the_readme_lists_every_alert() -> None:
    """One table has the name, condition and severity of each alert."""
    table = re.findall(r"^\| ((?:[A-Z]\w+(?:, )?)+) \| .* \| (\w+) \|$", README.read_text(), re.MULTILINE)
    listed = {name: severity for names, severity in table for name in names.split(", ")}
    assert listed == {name: rule["labels"]["severity"] for name, rule in rules("alert").items()}


def test_the_readmes_configuration_loads_the_rules(tmp_path: Path) -> None:
    """Prometheus accepts the README's configuration beside the rules; it names both files."""
    [config] = re.findall(r"^```yaml\n# prometheus\.yml\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "prometheus.yml").write_text(config)
    (tmp_path / "rules").mkdir()
    for file in FILES:
        shutil.copy(file, tmp_path / "rules")
    checked = promtool("check", "config", "--syntax-only", tmp_path / "prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert {f"rules/{file.name}" for file in FILES} == set(yaml.safe_load(config)["rule_files"])
