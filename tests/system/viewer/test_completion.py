"""What the field for queries on the dashboard's page offers to write, and how it is written."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import promql_parser
import pytest

from lib.kairo_metrics.dev.dashboard.history import History
from lib.kairo_metrics.dev.dashboard.limits import Budget, check_size
from lib.kairo_metrics.dev.dashboard.promql import functions, instant, range_functions
from lib.kairo_metrics.dev.dashboard.promql.engine import _Evaluation
from lib.kairo_metrics.dev.dashboard.promql.patterns import pattern
from lib.kairo_metrics.dev.dashboard.query_error import QueryError
from tests.system.viewer.test_viewer import VIEWER

SCRIPT = """
const { WORDS, completed, fitting, placeAt } = await import(process.argv[1]);
const { interpolate } = await import(process.argv[2]);
const answers = JSON.parse(process.argv[3]).map(([written, names]) => {
    const cursor = written.indexOf("¦");
    const text = written.replace("¦", "");
    const place = placeAt(text, cursor);
    if (!place) return { place };
    const found = fitting(place, names.map((name) => ({ name })));
    const lines = found.map((one) => completed(text, place, one));
    return {
        place,
        lines: lines.map(({ text: line, cursor: at }) => `${line.slice(0, at)}¦${line.slice(at)}`),
        sent: lines.map(({ text: line }) => interpolate(line, { job: "REPLACED", __range: "REPLACED" })),
    };
});
console.log(JSON.stringify({ WORDS, answers }));
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of modules, as the browser reads them."""
    folder = tmp_path_factory.mktemp("scripts")
    (folder / "package.json").write_text('{"type": "module"}')
    for name in ("completion.js", "template.js"):
        shutil.copy(VIEWER / name, folder)
    return folder


def asked(scripts: Path, *questions: tuple[str, list[str]]) -> Any:
    """Return the words that are known, and for each query, with its cursor at ¦, what the names complete it to."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("install Node.js")
    modules = [(scripts / name).as_uri() for name in ("completion.js", "template.js")]
    command = [node, "--input-type=module", "-e", SCRIPT, "--", *modules, json.dumps(questions)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


NAMES = ["orders_total", "http_requests_total", "my.metric"]
LABELS = ["route", "method", "my label"]
COMPLETIONS: dict[str, tuple[list[str], list[str]]] = {
    # Words: first those that begin with what was written; a word goes as a whole.
    "ord¦": (NAMES, ["orders_total¦"]),
    "rate(REQ¦": (NAMES, ["rate(http_requests_total¦"]),
    "sum(http¦_requests)": (NAMES, ["sum(http_requests_total¦)"]),
    "my¦": (NAMES, ['{"my.metric"}¦']),
    "orders_total¦": (NAMES, []),
    # Names of labels, with what follows them.
    "x{¦": (LABELS, ['x{route="¦', 'x{method="¦', 'x{"my label"="¦']),
    'x{a="b", m¦}': (LABELS, ['x{a="b", method="¦}', 'x{a="b", "my label"="¦}']),
    "x{ro¦ =~ 'b'}": (LABELS, ["x{route¦ =~ 'b'}"]),
    "sum by (¦) (x)": (LABELS, ["sum by (route¦) (x)", "sum by (method¦) (x)", 'sum by ("my label"¦) (x)']),
    "sum(x) without(a, met¦": (LABELS, ["sum(x) without(a, method¦"]),
    "a * on(ro¦) group_left() b": (LABELS, ["a * on(route¦) group_left() b"]),
    # Values of labels.
    'x{route="/¦"}': (["/a", "/b"], ['x{route="/a"¦}', 'x{route="/b"¦}']),
    "x{route='/¦": (["/a"], ["x{route='/a'¦"]),
    "x{route=¦}": (["/a"], ['x{route="/a"¦}']),
    'x{route="¦, method="GET"}': (["/a"], ['x{route="/a"¦, method="GET"}']),
    # Lengths of time.
    "rate(x[¦])": (["5m"], ["rate(x[5m¦])"]),
}
NOTHING = ["# sum¦", 'label_replace(x, "¦")', 'x{a="b"¦', "x[5m:¦", 'x{"¦"}', 'x{a="b" ¦']


def test_names_and_values_are_completed_where_they_belong(scripts: Path) -> None:
    """A metric, a label, a value and a length are offered at their places, and written with quotes and brackets."""
    answers = asked(scripts, *[(query, names) for query, (names, _) in COMPLETIONS.items()])["answers"]
    found = {query: answer.get("lines") for query, answer in zip(COMPLETIONS, answers, strict=True)}
    assert found == {query: expected for query, (_, expected) in COMPLETIONS.items()}


def test_nothing_is_offered_where_anything_may_stand(scripts: Path) -> None:
    """A comment, a text that is no value of a label, and the place behind a value have no completions."""
    answers = asked(scripts, *[(query, ["a"]) for query in NOTHING])["answers"]
    assert dict(zip(NOTHING, answers, strict=True)) == {query: {"place": None} for query in NOTHING}


HOSTILE = [
    'a"} or up{b="',
    "it's",
    "back\\slash",
    "two\nlines\r\t\x00\x7f\x85",
    "$job [[job]] ${__range}",
    ".*|(x)+?",
    "`",
    "日本",
]


@pytest.mark.parametrize("operator", ["=", "!=", "=~", "!~"])
@pytest.mark.parametrize("quote", ['"', "'", "`"])
def test_a_value_stays_that_value(scripts: Path, operator: str, quote: str) -> None:
    """Each value is escaped for its quotes and operator: it ends no string, and has no variable and no wildcard."""
    [answer] = asked(scripts, (f"x{{a{operator}{quote}¦", HOSTILE))["answers"]
    found = set()
    for query in answer["sent"]:
        check_size(f"{query}}}")
        parsed = promql_parser.parse(f"{query}}}")
        assert isinstance(parsed, promql_parser.VectorSelector)
        [matcher] = parsed.matchers.matchers
        if operator.endswith("~"):
            found |= {value for value in HOSTILE if pattern(matcher.value).fullmatch(value)}
        else:
            found.add(matcher.value)
    # Nothing can be escaped between backticks, so that what would need it is not offered.
    plain = {"it's", "日本"} if operator.endswith("~") else {'a"} or up{b="', "it's", ".*|(x)+?", "日本"}
    assert found == (plain if quote == "`" else set(HOSTILE))


def test_the_metric_and_the_matchers_before_narrow_the_values(scripts: Path) -> None:
    """The values of a label are those of the series that the selector has so far."""
    queries = ['x{a="1", route="¦"}', 'sum(x{route="¦', '{a=~"b,}", c="d" , e="¦', "y + x{a='1',¦", "x {¦"]
    answers = asked(scripts, *[(query, []) for query in queries])["answers"]
    selectors = [answer["place"]["selector"] for answer in answers]
    assert selectors == ['x{a="1"}', "x", '{a=~"b,}", c="d"}', "x{a='1'}", "x"]


def test_every_function_of_the_engine_is_offered(scripts: Path) -> None:
    """The functions and aggregations that are offered are those that the built-in engine has."""
    words = asked(scripts)["WORDS"]
    own = _Evaluation(History(keep_ms=1), [0], Budget())._functions
    known = {*own, *range_functions.RANGE_FUNCTIONS, *functions.VALUE_FUNCTIONS}
    assert set(words["function"]) == known
    aggregations = {name for name in AGGREGATIONS.split() if is_supported(name)}
    assert set(words["aggregation"]) == aggregations
    assert set(words) == {"aggregation", "function", "keyword"}


# All that PromQL has.
AGGREGATIONS = "sum avg min max count group stddev stdvar topk bottomk quantile count_values limitk limit_ratio"


def is_supported(aggregation: str) -> bool:
    """Tell whether the built-in engine has an aggregation, with or without a parameter."""
    for query in (f"{aggregation}(x)", f"{aggregation}(1, x)", f'{aggregation}("a", x)'):
        try:
            instant(History(keep_ms=1), query, 1)
        except QueryError:
            continue
        return True
    return False
