"""The files for a user's own system, and those of the CMS."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana import CMS, DASHBOARD, FOLDER
from lib.kairo_metrics.cli import main
from lib.kairo_metrics.dev.grafana.rules.rule_files import alerts_yml
from lib.kairo_metrics.dev.grafana.system import PARTS, System
from lib.kairo_metrics.dev.grafana.system_files import files_of
from lib.kairo_metrics.dev.grafana.thresholds import Thresholds
from tests.support.alert_rules import promtool
from tests.support.dev_server import REPOSITORY

# Every choice of parts that a system may lack.
SETS = [frozenset(each) for count in range(4) for each in itertools.combinations(PARTS, count)]
HOSTILE = r'shop\d+ "a|b": #{x}@'


def rules_of(files: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Return the rules of both files by name."""
    texts = (files["rules/alerts.yml"], files["rules/recording.yml"])
    groups = [group for text in texts for group in yaml.safe_load(text)["groups"]]
    return {rule.get("alert") or rule["record"]: rule for group in groups for rule in group["rules"]}


def panels_of(files: dict[str, str]) -> list[dict[str, Any]]:
    """Return all panels, also those in closed rows."""
    document = json.loads(files["dashboard.json"])
    return [panel for outer in document["panels"] for panel in (outer, *outer.get("panels", ()))]


@pytest.mark.parametrize("name", files_of(CMS))
def test_the_files_of_the_cms_come_from_the_same_code(name: str) -> None:
    """What stands in grafana/ is what `make grafana` writes, without changes by hand."""
    file = FOLDER / name.replace("dashboard.json", DASHBOARD)
    assert file.read_text() == files_of(CMS)[name], "run make grafana"


def test_nothing_of_the_cms_is_in_the_files_of_another_system() -> None:
    """A shop's files name the shop, and neither the CMS nor a field that was not filled in."""
    for name, text in files_of(System(job="shop-.*", title="Shop", prefix="shop_")).items():
        assert "Shop" in text or "shop" in text, name
        for foreign in ("kairo-cms", "kairo_cms", "Kairo CMS", "CMS", "lib.kairo_metrics", "@{"):
            assert foreign not in text, (name, foreign)


def test_every_rule_is_about_the_jobs_of_the_system() -> None:
    """Each rule selects the jobs; what it compares with another recorded value is joined by the label."""
    for name, rule in rules_of(files_of(System(job="shop-.*", title="Shop"))).items():
        assert 'job=~"shop-.*"' in rule["expr"], name


@pytest.mark.prometheus
@pytest.mark.parametrize("job", ["shop-.*", HOSTILE])
def test_prometheus_takes_every_set_of_rules(tmp_path: Path, job: str) -> None:
    """promtool accepts the rules whatever is left out, also with quotes and backslashes in the name of a job."""
    written = []
    for number, without in enumerate(SETS):
        files = files_of(System(job=job, title="Shop: 'a' \"b\" # {x}", prefix="shop:", without=without))
        for name in ("alerts.yml", "recording.yml"):
            written.append(tmp_path / f"{number}-{name}")
            written[-1].write_text(files[f"rules/{name}"])
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", *written)
    assert checked.returncode == 0, checked.stdout + checked.stderr


GONE = {
    "requests": {"HighErrorRate", "HighLatency", "ErrorBudgetBurnsFast", "ErrorBudgetBurnsSlowly", "MetricsVanished"},
    "database": {"SlowQueries"},
    "push": {"PushesFail", "TokenReadsFail"},
}


@pytest.mark.parametrize("part", PARTS)
def test_what_a_system_lacks_is_left_out_everywhere(part: str) -> None:
    """Its alerts, runbooks, panels, links and variables are gone, and all others stay."""
    whole = files_of(System(job="shop", title="Shop"))
    files = files_of(System(job="shop", title="Shop", without=frozenset({part})))
    alerts = {name for name, rule in rules_of(files).items() if "alert" in rule}
    assert {name for name, rule in rules_of(whole).items() if "alert" in rule} - alerts == GONE[part]
    for alert in GONE[part]:
        assert f"\n## {alert}\n" not in files["runbooks.md"]
        assert f"Runbook: {alert}" not in files["dashboard.json"]
    assert files["runbooks.md"].count("\n## ") == len(alerts)
    metrics = {"requests": "http_requests_total", "database": "tenant_db_query", "push": "kairo_pushes"}
    queries = json.dumps([panel.get("targets") for panel in panels_of(files)])
    assert metrics[part] not in queries
    document = json.loads(files["dashboard.json"])
    variables = {variable["name"] for variable in document["templating"]["list"]}
    assert ("route" in variables, "model" in variables) == (part != "requests", part != "database")
    assert all(panel["targets"] for panel in panels_of(files) if panel["type"] not in {"row", "text"})


@pytest.mark.parametrize("without", SETS, ids=sorted)
def test_no_gap_is_left_on_the_grid(without: frozenset[str]) -> None:
    """The panels of each line fill it, and none covers another."""
    lines: dict[int, list[dict[str, int]]] = {}
    for panel in panels_of(files_of(System(job="shop", title="Shop", without=without))):
        lines.setdefault(panel["gridPos"]["y"], []).append(panel["gridPos"])
    for places in lines.values():
        assert sum(place["w"] for place in places) == 24
        assert len({place["h"] for place in places}) == 1
        assert [place["x"] for place in places] == list(itertools.accumulate([0, *(one["w"] for one in places[:-1])]))


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command from a copy of the package in `folder`, in an interpreter without site packages of ours."""
    command = [sys.executable, "-m", "kairo_metrics", "grafana", *arguments]
    return subprocess.run(
        command, cwd=folder, env={"PATH": "", **environment}, capture_output=True, text=True, check=False
    )


def test_it_works_from_the_wheels_folder(tmp_path: Path) -> None:
    """A package without the repository around it writes the same files, and names itself as the user calls it."""
    (tmp_path / "kairo_metrics").symlink_to(REPOSITORY / "lib" / "kairo_metrics")
    ran = run(tmp_path, "--job", "shop-.*", "--title", "Shop", "--out", "made", METRICS_PREFIX="shop_")
    assert (ran.returncode, ran.stderr) == (0, "")
    made = {str(file.relative_to(tmp_path / "made")) for file in (tmp_path / "made").rglob("*.*") if file.is_file()}
    expected = files_of(System(job="shop-.*", title="Shop", prefix="shop_"))
    assert made == expected.keys()
    assert {name: (tmp_path / "made" / name).read_text() for name in made} == expected


def test_the_files_say_how_they_are_written_again(tmp_path: Path) -> None:
    """The command in alerts.yml writes the same files; it has every option that is not the default, with its quotes."""
    given = ["--job", "my shop's-.*", "--title", 'The "Shop"', "--prefix", "shop_", "--domain", "shop.example"]
    given += ["--without", "push", "--threshold", "latency_s=0.5", "--threshold", "objective=0.995"]
    main(["grafana", *given, "--out", str(tmp_path / "first")])
    [line] = re.findall(r"^#   (.+ --out DIR)$", (tmp_path / "first/rules/alerts.yml").read_text(), re.MULTILINE)
    command, _, options = line.partition(" grafana ")
    assert command == "python -m lib.kairo_metrics"
    again = shlex.split(options.replace("DIR", str(tmp_path / "again")))
    assert main(["grafana", *again]) == 0
    files = [file.relative_to(tmp_path / "first") for file in (tmp_path / "first").rglob("*") if file.is_file()]
    assert len(files) == 4
    for file in files:
        assert (tmp_path / "again" / file).read_text() == (tmp_path / "first" / file).read_text()


def test_the_thresholds_are_listed_in_the_rules() -> None:
    """The head of alerts.yml names each threshold with its value, as the option takes it."""
    text = alerts_yml(System(job="shop", title="Shop", thresholds=Thresholds(latency_s=0.5)))
    head = " ".join(line.strip("# ") for line in text.partition("groups:")[0].splitlines())
    expected = ", ".join(
        f"{name}={0.5 if name == 'latency_s' else getattr(Thresholds(), name):g}" for name in Thresholds.names()
    )
    assert f"The thresholds are {expected}." in head


def test_it_imports_nothing_heavy() -> None:
    """Writing the files needs neither Redis, nor a web framework, nor a library for YAML or dashboards."""
    code = (
        "import sys; from lib.kairo_metrics.dev.grafana.system_files import files_of; "
        "from lib.kairo_metrics.dev.grafana.system import System; files_of(System(job='a', title='A')); "
        "print({'redis', 'yaml', 'starlette', 'grafana_foundation_sdk'} & sys.modules.keys())"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["--job", "("], 2, "job must be a regular expression"),
        (["--threshold", "latency=1"], 2, "there is no threshold latency; these are: error_share"),
        (["--threshold", "latency_s"], 2, "latency_s must be a positive number"),
        (["--prefix", "a-"], 2, "is not the beginning of a metric's name"),
        (["--out", "/proc/here"], 1, "can't be written"),
    ],
)
def test_a_wrong_argument_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, reason: str
) -> None:
    """The error names the argument and what to do; nothing is written."""
    base = ["grafana", "--job", "shop", "--title", "Shop", "--out", str(tmp_path / "made")]
    assert main([*base, *arguments]) == code
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "made").exists()


def test_the_names_of_another_library_are_said_not_to_be_covered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With METRICS_NAMES, the command says which panels show nothing, and how to leave them out."""
    monkeypatch.setenv("METRICS_NAMES", "starlette_exporter")
    base = ["grafana", "--job", "shop", "--title", "Shop", "--out", str(tmp_path)]
    assert main(base) == 0
    assert "leave them out with --without requests" in capsys.readouterr().out
    assert main([*base, "--without", "requests"]) == 0
    assert "--without" not in capsys.readouterr().out
