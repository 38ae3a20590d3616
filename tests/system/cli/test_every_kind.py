"""The commands with every kind of metric, and with exemplars, which are not metrics."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import redis

from tests.support.command_run import Command
from tests.support.dev_server import REPOSITORY
from tests.support.every_kind import NAMES


@pytest.fixture(autouse=True)
def _counted(redis_url: str) -> None:
    environ = {"ENABLE_METRICS": "true", "REDIS_URL": redis_url, "METRICS_NAMESPACE": "development"}
    command = [sys.executable, "-m", "tests.support.every_kind"]
    for _ in range(2):  # two instances
        subprocess.run(command, cwd=REPOSITORY, env={**os.environ, **environ}, check=True)


def test_every_kind_is_shown_and_listed(command: Command) -> None:
    """`show` and `series` list every kind of metric, as text and as JSON."""
    listed = {entry["family"] for entry in command("series", "--top", "99", "--json").json["families"]}
    assert listed == {*NAMES, "kairo_batches"}
    for name in NAMES:
        shown = command("show", name)
        assert (shown.code, shown.err) == (0, ""), name
        assert "\x1b" not in shown.out
        assert command("show", name, "--json").json["name"] == name
        assert command("series", "--family", name, "--json").json["label_sets"], name
    assert command("series", "--by", "label", "--json").code == 0


def test_what_was_never_observed_has_no_mean(command: Command) -> None:
    """A dash replaces a mean that does not exist, and a bound below zero is shown like any other."""
    assert command("show", "kind_untouched").lines[3] == ["(no", "labels)", "0", "-", "-", "-", "-"]
    assert command("show", "kind_histogram").lines[3] == ["(no", "labels)", "12", "-3.667", "-5", ">", "5", ">", "5"]


def test_an_unknown_name_beside_exemplars_is_one_clear_line(command: Command) -> None:
    """An unknown name is one clear line, also if exemplars are stored."""
    for arguments in (("show", "x"), ("series", "--family", "x"), ("wipe", "--family", "x")):
        shown = command(*arguments)
        assert (shown.code, shown.out, shown.err.count("\n")) == (1, "", 1)
        assert "there is no metric 'x'" in shown.err


def test_exemplars_go_with_their_family(command: Command, redis_client: redis.Redis) -> None:
    """Wiping a family also deletes its exemplars, which count as keys and not as series."""
    before = redis_client.dbsize()
    planned = command("wipe", "--family", "kind_counter_total", "--dry-run", "--json").json
    assert planned["families"] == [{"family": "kind_counter", "keys": 2, "series": 1}]
    assert command("wipe", "--family", "kind_counter", "--yes").code == 0
    assert redis_client.dbsize() == before - 2
    assert command("wipe", "--yes").code == 0
    assert command("series", "--json").json["families"] == []
