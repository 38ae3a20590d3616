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


def test_a_native_histogram_is_shown_as_one(command: Command) -> None:
    """Its count, mean and quantiles are shown, never its sum as a value; its observations are counted."""
    shown = command("show", "kind_native")
    assert shown.lines[0][:3] == ["kind_native", "(native", "histogram)"]
    assert shown.lines[3] == ['{"路"="路径"}', "10", "1", "2.89", "5.076", "5.165"]
    pictures = [line[:3] for line in shown.lines if line and line[0] in {"<=", ">"}]
    assert pictures == [["<=", "-4.0", "2"], ["<=", "0.0", "0"], ["<=", "4.0", "6"], [">", "4.0", "2"]]
    [series] = command("show", "kind_native", "--json").json["series"]
    assert (series["labels"], series["count"], series["sum"]) == ({"路": "路径"}, 10, 10.0)
    assert sum(bucket["count"] for bucket in series["buckets"]) == 10
    assert series["p50"] == pytest.approx(2.89, abs=0.001)
    [listed] = command("series", "--family", "kind_native", "--json").json["label_sets"]
    assert listed["counted"] == 10


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
