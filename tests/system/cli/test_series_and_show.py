"""`series` and `show`: what is in the store, as text and as JSON."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from lib.kairo_metrics.model.schema import Schema
from tests.support.command_run import Command, on_terminal
from tests.support.instance import JOBS, WAIT, redis_instance
from tests.support.ports import free_port
from tests.support.proxy import Proxy

LEVEL = Schema("level", "gauge", (), mode="sum", help="A level.")
SIZES = Schema("sizes", "summary", ("kind",), help="Sizes.")


@pytest.fixture
def filled(redis_url: str) -> str:
    """Let instances deliver four families; return the URL of the Redis that holds them."""

    async def fill() -> None:
        instance = redis_instance(redis_url)
        for number in range(5):
            instance.add(f'queue="{number}"', number + 1)
        for index, count in ((1, 9.5), (2, 3), (3, 5), (4, 2)):
            instance.add('queue="a"', count, schema=WAIT, index=index)
        instance.add('queue="b"', 1, schema=WAIT, index=2)
        instance.add("", 2.5, schema=LEVEL)
        instance.add('kind="x"', 4, schema=SIZES)
        instance.add('kind="x"', 10, schema=SIZES, index=2)
        await instance.flusher.aflush()
        await instance.close()

    asyncio.run(fill())
    return redis_url


@pytest.mark.usefixtures("filled")
def test_families_are_ranked_by_their_series(command: Command) -> None:
    """A user who looks for the largest family sees it first, with its share of the limit."""
    shown = command("series", METRICS_MAX_SERIES="10")
    assert shown.code == 0
    first = next(line for line in shown.lines if line[:1] == ["jobs"])
    assert first[:6] == ["jobs", "counter", "5", "50.0%", "5", "15"]
    assert shown.lines[1][0] == "jobs"
    assert "kairo_samples_overflowed" not in shown.out
    assert "5 families in the namespace development" in shown.out


@pytest.mark.usefixtures("filled")
def test_families_are_ranked_by_what_is_written(command: Command, redis_client: redis.Redis) -> None:
    """Sorted by writes, a large family without writes comes after a small one with writes."""
    [key] = redis_client.keys("*:series:jobs:*")
    for field in redis_client.hkeys(key):
        redis_client.hset(key, field, "1 1700000000000 1700000000000")
    families = command("series", "--by", "writes", "--json").json["families"]
    assert families[0]["family"] == "wait_seconds"
    assert (families[0]["written"], families[0]["counted"]) == (2, 11)
    assert families[-1]["family"] == "jobs"
    assert families[-1]["written"] == 0


@pytest.mark.usefixtures("filled")
def test_counted_is_what_can_be_known(command: Command) -> None:
    """ "counted" has the observations of histograms and summaries and the sums of counters; for gauges it is empty."""
    counted = {entry["family"]: entry["counted"] for entry in command("series", "--json").json["families"]}
    assert counted == {"jobs": 15, "wait_seconds": 11, "sizes": 4, "level": None, "kairo_batches": 1}


@pytest.mark.usefixtures("filled")
def test_the_label_that_grows_is_found(command: Command) -> None:
    """Labels are ranked by their number of values, with the value that most series have."""
    shown = command("series", "--by", "label", "--top", "1", "--json").json
    assert shown["labels"] == [{"family": "jobs", "label": "queue", "values": 5, "top_value": "0", "top_series": 1}]
    assert shown["total"] == 4


@pytest.mark.usefixtures("filled")
def test_one_family_s_label_sets(command: Command) -> None:
    """A family, by any of its names, is listed by label set; sorted by writes, those with most counts come first."""
    for name in ("jobs", "jobs_total"):
        shown = command("series", "--family", name, "--by", "writes", "--top", "2", "--json").json
        assert [(entry["labels"], entry["counted"]) for entry in shown["label_sets"]] == [
            ({"queue": "4"}, 5),
            ({"queue": "3"}, 4),
        ]
    assert '{queue="4"}' in command("series", "--family", "jobs").out


@pytest.mark.usefixtures("filled")
def test_the_newest_series_of_a_family_come_first(command: Command, redis_client: redis.Redis) -> None:
    """The newest series come first, so that a user sees where new series come from."""
    [key] = redis_client.keys("*:series:jobs:*")
    redis_client.hset(key, 'queue="new"', "1 1900000000000 1900000000000")
    [newest, *_] = command("series", "--family", "jobs", "--json").json["label_sets"]
    assert newest["labels"] == {"queue": "new"}


def test_shards_are_added_up(command: Command, redis_url: str) -> None:
    """A label set is one line, even if its writers are spread over shards."""

    async def fill() -> None:
        for _ in range(6):
            instance = redis_instance(redis_url, shards=3)
            instance.add('queue="a"')
            await instance.flusher.aflush()
            await instance.close()

    asyncio.run(fill())
    shown = command("series", "--family", "jobs", "--json", METRICS_SHARDS="3").json
    assert [entry["counted"] for entry in shown["label_sets"]] == [6]


@pytest.mark.usefixtures("filled")
def test_a_counter_and_a_gauge_are_a_table(command: Command) -> None:
    """`show` prints label sets and values as a scrape has them."""
    shown = command("show", "jobs_total")
    assert shown.lines[0][:2] == ["jobs", "(counter)"]
    assert ['{queue="4"}', "5"] in shown.lines
    assert ["(no", "labels)", "2.5"] in command("show", "level").lines
    assert ['{kind="x"}', "4", "2.5"] in command("show", "sizes").lines


@pytest.mark.usefixtures("filled")
def test_a_long_metric_is_cut_and_says_so(command: Command) -> None:
    """The first series by their labels are shown, and how to see the others; programs get the number of all."""
    shown = command("show", "jobs_total", "--limit", "2")
    assert [words[0] for words in shown.lines[3:5]] == ['{queue="0"}', '{queue="1"}']
    assert "2 of 5 series; --limit 5 shows all, --label NAME=VALUE chooses" in shown.out
    assert '{queue="2"}' not in shown.out
    cut = command("show", "jobs_total", "--limit", "2", "--json").json
    assert (cut["total"], len(cut["series"])) == (5, 2)
    assert "shows all" not in command("show", "jobs_total", "--limit", "5").out
    all_of_it = command("show", "wait_seconds", "--limit", "1")
    assert "1 of 2 series" in all_of_it.out
    assert all_of_it.out.count("{queue=") == 1
    assert "all of it" in all_of_it.out


@pytest.mark.usefixtures("filled")
def test_a_histogram_is_a_picture(command: Command) -> None:
    """Buckets are bars, the largest has the full width, and quantiles are marked beside their buckets."""
    shown = command("show", "wait_seconds")
    assert ['{queue="a"}', "10", "0.95", "0.46", ">", "1", ">", "1"] in shown.lines
    pictures = [line.split() for line in shown.out.splitlines() if line.lstrip().startswith(("<=", ">"))]
    assert [line[:3] for line in pictures] == [["<=", "0.1", "4"], ["<=", "1.0", "5"], [">", "1.0", "2"]]
    assert pictures[1][3] == "█" * 40
    assert "p50" in pictures[1]
    assert {"p95", "p99"} <= set(pictures[2])


@pytest.mark.usefixtures("filled")
def test_labels_narrow_what_is_shown(command: Command) -> None:
    """`--label` shows only the series with that label; if none has it, the error lists the existing labels."""
    assert "11" not in {word for line in command("show", "wait_seconds", "--label", "queue=b").lines for word in line}
    missed = command("show", "wait_seconds", "--label", "route=/")
    assert missed.code == 1
    assert 'no series with route="/"; its labels are queue' in missed.err


@pytest.mark.usefixtures("filled")
def test_show_prints_json(command: Command) -> None:
    """Programs get single labels, cumulative buckets, and only numbers that JSON has."""
    shown = command("show", "wait_seconds", "--label", "queue=a", "--json").json
    assert (shown["name"], shown["type"]) == ("wait_seconds", "histogram")
    [series] = shown["series"]
    assert series["labels"] == {"queue": "a"}
    assert series["buckets"] == {"0.1": 3, "1.0": 8, "+Inf": 10}
    assert (series["count"], series["sum"], series["p50"]) == (10, 9.5, pytest.approx(0.46))
    assert command("show", "sizes", "--json").json["series"][0]["count"] == 4
    assert command("show", "level", "--json").json["series"] == [{"labels": {}, "value": 2.5}]


@pytest.mark.parametrize(
    "arguments", [("show", "job_total"), ("series", "--family", "job_total"), ("wipe", "--family", "job_total")]
)
@pytest.mark.usefixtures("filled")
def test_a_mistyped_metric_gets_suggestions(command: Command, arguments: tuple[str, ...]) -> None:
    """The error for an unknown name suggests similar names."""
    shown = command(*arguments)
    assert shown.code == 1
    assert "did you mean jobs_total" in shown.err
    assert shown.out == ""


@pytest.mark.parametrize("arguments", [("series",), ("show", "jobs")])
@pytest.mark.usefixtures("filled")
def test_an_empty_namespace_is_named(command: Command, arguments: tuple[str, ...]) -> None:
    """A user who looks into the wrong namespace sees its name."""
    shown = command(*arguments, METRICS_NAMESPACE="preview")
    assert "nothing is stored under the namespace 'preview'" in shown.out + shown.err


@pytest.mark.parametrize("arguments", [("series",), ("show", "jobs"), ("wipe", "--yes")])
def test_a_store_that_is_away_or_not_set_is_one_clear_line(command: Command, arguments: tuple[str, ...]) -> None:
    """There is no traceback, and the exit codes of a bad setting and of an unreachable store differ."""
    for url, code in ((f"redis://127.0.0.1:{free_port()}", 1), ("", 1), ("http://redis", 2)):
        shown = command(*arguments, REDIS_URL=url)
        assert (shown.code, shown.out, shown.err.count("\n")) == (code, "", 1)


def test_a_silent_store_is_not_waited_for_for_ever(
    command: Command, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that accepts the connection and never replies ends the command with advice."""
    monkeypatch.setattr("lib.kairo_metrics.cli.store_access._PATIENCE_MS", 200)
    proxy.black_hole = True
    shown = command("series", REDIS_URL=proxy.url)
    assert shown.code == 1
    assert "doctor" in shown.err


@pytest.mark.parametrize(
    "arguments", [("series", "--top", "0"), ("series", "--by", "size"), ("show",), ("show", "x", "--label", "y")]
)
def test_arguments_that_can_not_work_are_refused(command: Command, arguments: tuple[str, ...]) -> None:
    """A wrong option is named, and the exit code is 2."""
    with pytest.raises(SystemExit) as ended:
        command(*arguments)
    assert ended.value.code == 2


def test_a_label_can_not_play_with_the_terminal(command: Command, redis_url: str) -> None:
    """Control characters in a label or in a metric's help are printed as text."""
    coloured = JOBS.changed(help="Jobs \x1b[31mdone.")

    async def fill() -> None:
        instance = redis_instance(redis_url)
        instance.add('queue="\x1b[2Jred 路"', schema=coloured)
        await instance.flusher.aflush()
        await instance.close()

    asyncio.run(fill())
    shown = command("show", "jobs").out
    assert "\x1b" not in shown
    assert r"\x1b[2Jred 路" in shown


@pytest.mark.parametrize(("environ", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colour_is_for_terminals(command: Command, filled: str, environ: dict[str, str], coloured: bool) -> None:
    """A terminal gets colours unless NO_COLOR or TERM=dumb is set; other outputs get none, and nothing is cut."""
    shown = on_terminal(["show", "wait_seconds"], {"REDIS_URL": filled, "COLUMNS": "50", **environ})
    assert shown.code == 0
    assert ("\x1b[" in shown.out) == coloured
    assert "\x1b" not in command("show", "wait_seconds").out


def test_a_table_fits_the_terminal(filled: str) -> None:
    """A label set that is too long for the terminal is cut, and the cut is marked."""
    shown = on_terminal(["series", "--family", "jobs"], {"REDIS_URL": filled, "COLUMNS": "46", "NO_COLOR": "1"})
    table = shown.out.split("\r\n\r\n")[0].splitlines()
    assert max(map(len, table)) <= 46
    assert "…" in shown.out


@pytest.mark.parametrize(("columns", "longest"), [("100", 40), ("46", 22), ("10", 8)])
def test_a_picture_fits_the_terminal(filled: str, columns: str, longest: int) -> None:
    """On a narrow terminal the bars are shorter, and the names of the quantiles are still beside them."""
    environ = {"REDIS_URL": filled, "COLUMNS": columns, "NO_COLOR": "1"}
    picture = on_terminal(["show", "wait_seconds"], environ).out.split("\r\n\r\n")[-1]
    assert max(line.count("█") for line in picture.splitlines()) == longest
    assert max(map(len, picture.splitlines())) <= max(46, int(columns))


def test_a_reader_that_is_gone_is_no_traceback(filled: str) -> None:
    """`series | head -1` ends without an error."""
    line = f"REDIS_URL={filled} METRICS_NAMESPACE=development python -m lib.kairo_metrics series --json | head -1"
    ran = subprocess.run(
        ["bash", "-c", f"PATH={Path(sys.executable).parent}:$PATH; {line}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "{\n"
    assert ran.stderr == ""


BLANKS = ["a b", "a:b", "a\nb", r"a\nb", "a\tb", "a\x1bb"]
PECULIAR = [*BLANKS, "a_b", ' a"b" ', "a'b", "{a}", "}a{", "größe", "路 🚀", "=a"]


@pytest.fixture
def peculiar(redis_url: str) -> dict[str, float]:
    """Let an instance count in families with such names; return the count of each."""
    counts = {name: 2.0**number for number, name in enumerate(PECULIAR)}

    async def fill() -> None:
        instance = redis_instance(redis_url)
        for name, count in counts.items():
            instance.add('queue="a"', count, schema=JOBS.changed(name=name))
        await instance.flusher.aflush()
        await instance.close()

    asyncio.run(fill())
    return counts


def test_any_name_is_found_as_it_was_declared(command: Command, peculiar: dict[str, float]) -> None:
    """Blanks, line breaks, quotes, backslashes, braces and other alphabets: each name leads to its own numbers."""
    listed = {entry["family"]: entry["counted"] for entry in command("series", "--json").json["families"]}
    assert {name: listed.get(name) for name in PECULIAR} == peculiar
    for name, count in peculiar.items():
        sets = command("series", "--family", name, "--json").json["label_sets"]
        assert [(entry["labels"], entry["counted"]) for entry in sets] == [({"queue": "a"}, count)], name
        for asked in (name, f"{name}_total"):
            shown = command("show", asked, "--json").json
            assert (shown["name"], [series["value"] for series in shown["series"]]) == (name, [count]), asked


@pytest.mark.usefixtures("peculiar")
def test_any_name_is_one_line_of_text(command: Command) -> None:
    """Nothing in a name breaks a line, a table or the terminal, neither in the answer nor in an error."""
    listed = command("series").out
    for name in PECULIAR:
        printed = [listed, command("show", name).out, command("series", "--family", name).out]
        missed = command("show", f"{name}x")
        assert missed.code == 1
        assert missed.err.count("\n") == 1, missed.err
        for text in (*printed, missed.err):
            assert not [letter for letter in text if letter != "\n" and not letter.isprintable()], text
    assert sum(line.startswith(r"a\nb ") for line in listed.splitlines()) == 2
    assert command("show", "a\x1bb").out.startswith(r"a\x1bb (counter)")
