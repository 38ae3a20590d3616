"""The install script for Prometheus: what it writes, refuses, downloads and leaves unchanged."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deployment.scrapers.installation import SCRIPT, TOKEN, Installation, installation, with_rules
from tests.deployment.scrapers.release import release
from tests.support.dev_server import REPOSITORY
from tests.support.prometheus_server import require

pytestmark = pytest.mark.prometheus

RULES = "groups: [{name: cms, rules: [{record: job:up:min, expr: min by (job) (up)}]}]\n"


@pytest.fixture
def machine(tmp_path: Path) -> Installation:
    """Return a machine with Prometheus and nothing else."""
    return installation(tmp_path / "machine")


def targets(machine: Installation) -> dict[str, dict[str, str]]:
    """Return the labels of each target in the script's files."""
    groups = json.loads((machine.folder / "targets" / "kairo-cms.json").read_text())
    return {group["targets"][0]: group["labels"] for group in groups}


def test_shellcheck_finds_nothing() -> None:
    """ShellCheck finds nothing in the script."""
    command = [Path(sys.executable).parent / "shellcheck", SCRIPT]
    assert subprocess.run(command, capture_output=True, encoding="utf-8", check=False).stdout == ""


def test_two_variables_are_a_complete_configuration(machine: Installation) -> None:
    """With a domain and a token the configuration passes promtool; only root and the group can read the token."""
    machine.run()
    checked = subprocess.run(
        [require("promtool"), "check", "config", machine.config], capture_output=True, encoding="utf-8", check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "SUCCESS" in checked.stdout
    assert {name: mode for name, (mode, _, _) in machine.tree().items()} == {
        "etc/prometheus/metrics-token": 0o640,
        "etc/prometheus/prometheus.yml": 0o640,
        "etc/prometheus/rules/kairo-cms/alerts.yml": 0o644,
        "etc/prometheus/rules/kairo-cms/recording.yml": 0o644,
        "etc/prometheus/targets/kairo-cms.json": 0o644,
        "etc/systemd/system/prometheus.service": 0o644,
    }
    assert {folder.stat().st_mode & 0o777 for folder in (machine.root / "etc").rglob("*") if folder.is_dir()} == {0o755}
    assert (machine.folder / "metrics-token").read_text() == TOKEN
    assert targets(machine) == {"shop.example": {"environment": "production", "instance": "shop.example"}}


def test_a_second_run_changes_nothing_and_says_so(machine: Installation) -> None:
    """A second run leaves every file unchanged, with its modification time."""
    machine.run()
    before = machine.tree()
    assert machine.run() == "Nothing has changed.\n"
    assert machine.tree() == before


def test_a_dry_run_names_the_changes_and_makes_none(machine: Installation) -> None:
    """`--dry-run` prints for each file what a run would do."""
    planned = machine.run("--dry-run")
    assert not (machine.root / "etc").exists()
    assert planned.replace("would write", "wrote") == machine.run()


def test_a_new_token_replaces_the_old_one_alone(machine: Installation) -> None:
    """A rotation writes one file."""
    machine.run()
    assert machine.run(METRICS_AUTH_TOKEN="another-token") == "wrote /etc/prometheus/metrics-token\n"
    assert (machine.folder / "metrics-token").read_text() == "another-token"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("new-token,old-token", "new-token"),
        ("  pasted-with-space \n", "pasted-with-space"),
        (r"""q"u'o\t$e`d&|;#%{}~""", r"""q"u'o\t$e`d&|;#%{}~"""),
    ],
)
def test_a_token_arrives_as_it_is(machine: Installation, given: str, kept: str) -> None:
    """The first of two tokens is installed unchanged, without spaces around it, even with special characters."""
    machine.run(METRICS_AUTH_TOKEN=given)
    assert (machine.folder / "metrics-token").read_text() == kept


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"METRICS_AUTH_TOKEN": None}, "METRICS_AUTH_TOKEN is not set"),
        ({"METRICS_AUTH_TOKEN": ""}, "METRICS_AUTH_TOKEN is not set"),
        ({"METRICS_AUTH_TOKEN": " ,x"}, "METRICS_AUTH_TOKEN is no token"),
        ({"METRICS_AUTH_TOKEN": "secret with spaces"}, "METRICS_AUTH_TOKEN is no token"),
        ({"METRICS_AUTH_TOKEN": "secrét-tokén"}, "METRICS_AUTH_TOKEN is no token"),
        ({"KAIRO_DOMAIN": None}, "KAIRO_DOMAIN is not set"),
        ({"KAIRO_DOMAIN": " , "}, "KAIRO_DOMAIN is not set"),
        ({"KAIRO_DOMAIN": "https://shop.example/api/metrics"}, "'https://shop.example/api/metrics' is no domain"),
        ({"KAIRO_DOMAIN": 'shop.example"]'}, "is no domain"),
        ({"KAIRO_DOMAIN": "*"}, "'*' is no domain"),
        ({"KAIRO_DOMAIN": "http://shop.example"}, "unencrypted"),
        ({"VERCEL_AUTOMATION_BYPASS_SECRET": 'secret"]'}, "VERCEL_AUTOMATION_BYPASS_SECRET has"),
    ],
)
def test_a_bad_value_is_named_and_nothing_is_written(
    machine: Installation, variables: dict[str, str | None], message: str
) -> None:
    """A missing or malformed variable is named, without a secret, before any file is changed."""
    assert message in machine.refused(**variables)
    assert not (machine.root / "etc").exists()


def test_an_unknown_option_is_refused(machine: Installation) -> None:
    """A token as an argument, where every user could see it, is refused."""
    assert "unknown option --token" in machine.refused("--token", "x")


def test_no_command_is_given_a_secret(machine: Installation, tmp_path: Path) -> None:
    """No command that the script calls has a secret in its arguments, which every user can see."""
    trace = tmp_path / "trace"
    command = [require("strace", "strace"), "-f", "-e", "trace=execve", "-s", "4000", "-o", str(trace)]
    secrets = {"METRICS_AUTH_TOKEN": TOKEN, "VERCEL_AUTOMATION_BYPASS_SECRET": "bypass-secret"}
    environ = {"PATH": os.environ["PATH"], "KAIRO_DOMAIN": "shop.example", **secrets}
    subprocess.run([*command, SCRIPT, "--root", machine.root], env=environ, check=True, capture_output=True)
    assert "bypass-secret" in machine.config.read_text()
    calls = trace.read_text()
    assert calls.count("execve(") > 20
    assert [secret for secret in secrets.values() if secret in calls] == []


def test_several_deployments_are_told_apart_by_their_environment(machine: Installation) -> None:
    """Production, staging and a laptop are three targets of one job; only the loopback address may be without TLS."""
    machine.run(KAIRO_DOMAIN="https://shop.example/, staging=staging.shop.example:8443\ndev=http://127.0.0.1:3000")
    assert targets(machine) == {
        "shop.example": {"environment": "production", "instance": "shop.example"},
        "staging.shop.example:8443": {"environment": "staging", "instance": "staging.shop.example:8443"},
        "127.0.0.1:3000": {"environment": "dev", "instance": "127.0.0.1:3000", "__scheme__": "http"},
    }


def test_rules_are_installed_and_removed(machine: Installation, tmp_path: Path) -> None:
    """The project's rules are installed, tests of rules are not, and removed rules are removed."""
    copied, rules = with_rules(tmp_path / "checkout", machine)
    (rules / "alerts.yml").write_text(RULES)
    (rules / "alerts.test.yml").write_text("rule_files: [alerts.yml]\ntests: []\n")
    copied.run()
    own = machine.folder / "rules" / "own.yml"
    own.write_text(RULES)
    assert [file.name for file in (machine.folder / "rules" / "kairo-cms").iterdir()] == ["alerts.yml"]
    found = subprocess.check_output([require("promtool"), "check", "config", machine.config], encoding="utf-8")
    assert "2 rule files found" in found

    (rules / "alerts.yml").unlink()
    assert copied.run() == "removed /etc/prometheus/rules/kairo-cms/alerts.yml\n"
    assert own.exists()


def test_a_bad_rule_stops_everything_before_it_starts(machine: Installation, tmp_path: Path) -> None:
    """A configuration that Prometheus would refuse is not installed."""
    copied, rules = with_rules(tmp_path / "checkout", machine)
    (rules / "alerts.yml").write_text("groups: [{name: cms, rules: [{record: a, expr: 'sum('}]}]\n")
    assert "nothing was changed" in copied.refused()
    assert not (machine.root / "etc").exists()


def test_a_foreign_configuration_is_not_overwritten(machine: Installation) -> None:
    """A prometheus.yml with other jobs stops the script; `--replace` replaces it and keeps a copy."""
    machine.folder.mkdir(parents=True)
    machine.config.write_text("scrape_configs: []\n")
    assert "--replace" in machine.refused()
    assert [file.name for file in machine.folder.iterdir()] == ["prometheus.yml"]

    machine.run("--replace")
    assert "kairo-cms-production" in machine.config.read_text()
    assert machine.config.with_suffix(".yml.bak").read_text() == "scrape_configs: []\n"
    assert machine.run() == "Nothing has changed.\n"


def test_what_was_replaced_is_still_there_after_later_runs(machine: Installation) -> None:
    """The copy of the foreign file is not overwritten by a later run."""
    machine.folder.mkdir(parents=True)
    machine.config.write_text("scrape_configs: []\n")
    machine.run("--replace")
    machine.run(VERCEL_AUTOMATION_BYPASS_SECRET="bypass-secret")
    machine.config.write_text("global: {}\n")
    machine.run("--replace")
    copies = {file.read_text() for file in machine.folder.glob("prometheus.yml.bak*")}
    assert copies == {"scrape_configs: []\n", "global: {}\n"}


def test_uninstalling_leaves_no_copy_with_a_secret(machine: Installation) -> None:
    """`--uninstall` also removes an old copy of the configuration with the bypass secret."""
    machine.run(VERCEL_AUTOMATION_BYPASS_SECRET="bypass-secret")
    machine.run()
    machine.run("--uninstall")
    assert machine.tree() == {}


def test_a_search_path_for_folders_does_not_confuse_it(machine: Installation) -> None:
    """With CDPATH set, the script still finds its own files."""
    script = SCRIPT.relative_to(REPOSITORY)
    environ = {"CDPATH": str(REPOSITORY), "METRICS_AUTH_TOKEN": TOKEN, "KAIRO_DOMAIN": "shop.example"}
    command = [str(script), "--root", str(machine.root)]
    subprocess.run(command, cwd=REPOSITORY, env={"PATH": os.environ["PATH"], **environ}, check=True)
    assert machine.config.exists()


def test_own_jobs_are_kept(machine: Installation) -> None:
    """With `--keep-config` an edited prometheus.yml stays, while a new token and other targets are written."""
    machine.run("--keep-config")
    assert "kairo-cms-production" in machine.config.read_text()
    own = "scrape_configs: [{job_name: own, static_configs: [{targets: [localhost:9100]}]}]\n"
    machine.config.write_text(own)
    written = machine.run("--keep-config", METRICS_AUTH_TOKEN="another-token", KAIRO_DOMAIN="other.example")
    assert written == "wrote /etc/prometheus/metrics-token\nwrote /etc/prometheus/targets/kairo-cms.json\n"
    assert machine.config.read_text() == own


def test_the_protection_bypass_is_added_and_removed(machine: Installation) -> None:
    """With VERCEL_AUTOMATION_BYPASS_SECRET the job sends it; without it, the job is as before."""
    machine.run()
    plain = machine.config.read_text()
    machine.run(VERCEL_AUTOMATION_BYPASS_SECRET="bypass-secret")
    assert '\n    params:\n      x-vercel-protection-bypass: ["bypass-secret"]\n' in machine.config.read_text()
    machine.run()
    assert machine.config.read_text() == plain


def test_uninstalling_removes_what_was_installed(machine: Installation) -> None:
    """`--uninstall` removes the script's own files, needs no variable, and changes no foreign file."""
    machine.run()
    own = machine.folder / "targets" / "own.json"
    own.write_text("[]")
    machine.run("--uninstall", KAIRO_DOMAIN=None, METRICS_AUTH_TOKEN=None)
    assert list(machine.tree()) == ["etc/prometheus/targets/own.json"]
    assert machine.run("--uninstall") == "There is nothing to remove.\n"

    machine.config.write_text("scrape_configs: []\n")
    assert machine.run("--uninstall") == "There is nothing to remove.\n"
    assert machine.config.exists()


def test_a_release_is_downloaded_where_there_is_no_prometheus(tmp_path: Path) -> None:
    """Without Prometheus, the pinned release is downloaded and checked, and its programs are installed once."""
    require("curl", "curl")
    (tmp_path / "machine").mkdir()
    machine = Installation(tmp_path / "machine")
    [version] = re.findall(r"PROMETHEUS_VERSION:-([\d.]+)", SCRIPT.read_text())
    release(tmp_path / "releases", version)
    place = f"file://{tmp_path / 'releases'}"
    printed = machine.run(PROMETHEUS_RELEASES=place)
    assert "wrote /usr/local/bin/prometheus\n" in printed
    assert (machine.root / "usr" / "local" / "bin" / "promtool").stat().st_mode & 0o777 == 0o755
    unit = (machine.root / "etc" / "systemd" / "system" / "prometheus.service").read_text()
    assert "ExecStart=/usr/local/bin/prometheus " in unit
    assert machine.run(PROMETHEUS_RELEASES=place) == "Nothing has changed.\n"


def test_a_download_that_differs_from_its_sum_is_refused(tmp_path: Path) -> None:
    """A release with a wrong or missing checksum is not installed, and a missing release is named."""
    require("curl", "curl")
    (tmp_path / "machine").mkdir()
    machine = Installation(tmp_path / "machine")
    archive = release(tmp_path / "releases", "3.0.0")
    variables = {"PROMETHEUS_RELEASES": f"file://{tmp_path / 'releases'}", "PROMETHEUS_VERSION": "3.0.0"}
    with archive.open("ab") as file:
        file.write(b"more")
    assert "is not what its sha256sums.txt says" in machine.refused(**variables)
    (archive.parent / "sha256sums.txt").write_text("")
    assert "is not what its sha256sums.txt says" in machine.refused(**variables)
    archive.unlink()
    assert f"{archive.name} could not be downloaded" in machine.refused(**variables)
    assert list(machine.root.iterdir()) == []
