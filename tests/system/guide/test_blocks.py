"""The operator's guide in both languages: each block is in a class, and blocks that can't run here are checked."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deployment.hosts import manifests
from tests.deployment.platform.conftest import tools
from tests.deployment.platform.project import tracked
from tests.deployment.platform.vercel_tools import Tools
from tests.support.alert_rules import promtool, rules
from tests.support.dev_server import REPOSITORY
from tests.system.guide.blocks import CLASSES, LANGUAGES, each
from tests.system.guide.commands import commands_of, mistakes, vercel_mistakes
from tests.system.guide.pages import ENGLISH, GUIDES, Guide

__all__ = ["tools"]  # a fixture of another folder


@pytest.mark.parametrize("guide", GUIDES, ids=str)
def test_every_block_is_in_one_class(guide: Guide) -> None:
    """Every block of the guide is in exactly one class for its language."""
    classified = [(name, LANGUAGES[kind]) for kind, names in CLASSES.items() for name in names]
    assert len(classified) == len(dict(classified))
    assert dict(classified) == {guide.named(block): block.language for block in guide.blocks}


@pytest.mark.parametrize("guide", GUIDES, ids=str)
def test_bash_parses_every_block(guide: Guide) -> None:
    """Bash parses every command."""
    for block in guide.blocks:
        if block.language == "bash":
            checked = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
            assert (checked.returncode, checked.stderr) == (0, ""), guide.named(block)


@each("commands")
def test_every_command_exists(guide: Guide, name: str) -> None:
    """Subcommand and options of every command exist; the next test checks Vercel's."""
    commands = [command for command in commands_of(guide.block(name).text) if command.program != "vercel"]
    assert [found for command in commands for found in mistakes(command)] == []


@each("commands")
def test_vercels_cli_takes_its_commands(tools: Tools, guide: Guide, name: str) -> None:
    """In the help of Vercel's CLI each subcommand and option exists, and no command has too many arguments."""
    commands = [command for command in commands_of(guide.block(name).text) if command.program == "vercel"]
    assert [found for command in commands for found in vercel_mistakes(tools.cli, command)] == []


@pytest.mark.parametrize(
    "line",
    [
        "heroku config:put A=b",
        "kubectl create secret metrics-token",
        "sudo systemctl explode prometheus",
        "journalctl -u prometheus --yesterday",
        "docker run --nmae grafana image",
        "helm install prometheus",
    ],
)
def test_a_wrong_command_is_found(line: str) -> None:
    """An unknown subcommand, option or program is a mistake."""
    [command] = commands_of(line)
    assert mistakes(command)


@pytest.mark.parametrize(
    "line",
    [
        "vercel logs cms.example",
        "vercel env add A preview b",
        "vercel logs -s 1h metrics",
        "vercel deploy --producton",
        "vercel envy add A",
    ],
)
def test_a_wrong_command_for_vercel_is_found(tools: Tools, line: str) -> None:
    """Too many arguments, or a misspelt option or subcommand, are a mistake."""
    [command] = commands_of(line)
    assert vercel_mistakes(tools.cli, command)


@pytest.mark.parametrize("file", sorted(file for file in tracked(REPOSITORY) if file.endswith(".md")))
def test_vercels_cli_takes_the_commands_of_all_documents(tools: Tools, file: str) -> None:
    """The commands in the other documents are checked with the same help."""
    blocks = [block for block in Guide(f"../{file}").blocks if block.language == "bash"]
    lines = [line for block in blocks for line in block.text.splitlines() if re.search(r"(^|\| )vercel ", line)]
    commands = [command for line in lines for command in commands_of(line) if command.program == "vercel"]
    assert [found for command in commands for found in vercel_mistakes(tools.cli, command)] == []


def test_commands_are_separated() -> None:
    """Lines, pipes and semicolons separate commands; comments, assignments, sudo and joined lines do not."""
    text = 'A="$(b c)"\nprintf "$A|x" | vercel env add A --yes  # a, b\nsudo docker run \\\n  -d image; openssl rand'
    assert [command.words for command in commands_of(text)] == [
        ("printf", "$A|x"),
        ("vercel", "env", "add", "A", "--yes"),
        ("docker", "run", "-d", "image"),
        ("openssl", "rand"),
    ]


@pytest.mark.prometheus
@each("configuration")
def test_prometheus_takes_a_configuration(guide: Guide, name: str, tmp_path: Path) -> None:
    """promtool accepts a scrape job with its token in a file; it has the labels that rules and dashboard use."""
    config = yaml.safe_load(guide.block(name).text)
    for job in config["scrape_configs"]:
        assert job["job_name"].startswith("kairo-cms")
        assert all(target["labels"]["environment"] for target in job["static_configs"])
        token = tmp_path / Path(job["authorization"]["credentials_file"]).name
        token.write_text("token")
        job["authorization"]["credentials_file"] = str(token)
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    checked = promtool("check", "config", tmp_path / "prometheus.yml")
    assert (checked.returncode, checked.stderr) == (0, "")


@each("object")
def test_kubernetes_takes_an_object(guide: Guide, name: str) -> None:
    """The schema of its kind accepts an object, which equals the one in `deploy/kubernetes/` except for the domain."""
    manifest = yaml.safe_load(guide.block(name).text)
    assert manifests.problems(manifest) == []
    [kept] = manifests.read(f"{manifest['kind'].lower()}.yaml")
    for target in manifest["spec"].get("staticConfigs", []):
        target["targets"] = ["cms.example.org"]
    assert manifest == kept


@pytest.mark.prometheus
@each("rules")
def test_prometheus_takes_the_alerts(guide: Guide, name: str, tmp_path: Path) -> None:
    """promtool's linter accepts the alerts, which equal those in `grafana/rules/`, whose tests make them fire."""
    (tmp_path / "rules.yml").write_text(guide.block(name).text)
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", tmp_path / "rules.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    [group] = yaml.safe_load(guide.block(name).text)["groups"]
    for rule in group["rules"]:
        assert rule["annotations"].pop("summary")
        assert rule == {**rules("alert")[rule["alert"]], "annotations": {}}
    assert [rule["alert"] for rule in group["rules"]] == ["HighErrorRate", "SlowQueries"]


def test_the_english_alerts_have_the_summaries_of_the_rules() -> None:
    """The alerts in the English guide have the summaries of the rules."""
    [group] = yaml.safe_load(ENGLISH.block("recommended-alerts/1").text)["groups"]
    for rule in group["rules"]:
        assert rule["annotations"]["summary"] == rules("alert")[rule["alert"]]["annotations"]["summary"]
