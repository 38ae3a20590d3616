"""The options of `instrument`: what is accepted, from code and from variables, and which error names what."""

from __future__ import annotations

import functools
import re
from typing import Any

import pytest

from lib.kairo_metrics import RequestOptions, Settings, SettingsError


async def _asynchronous(_request: object) -> str:
    return ""


class _Asynchronous:
    async def __call__(self, _request: object) -> str:
        return ""


WRONG: list[tuple[str, Any, type[Exception], str]] = [
    ("buckets", 5, TypeError, "buckets must be a list of seconds"),
    ("buckets", "0.1,1", TypeError, "buckets must be a list of seconds"),
    ("buckets", [], ValueError, "buckets must be 1 to 100 bounds"),
    ("buckets", [float("inf")], ValueError, "buckets must be 1 to 100 bounds"),
    ("buckets", range(1, 200), ValueError, "buckets must be 1 to 100 bounds"),
    ("buckets", [1, "x"], ValueError, "buckets must be numbers of seconds"),
    ("buckets", [1, None], ValueError, "buckets must be numbers of seconds"),
    ("buckets", [True, 2], ValueError, "buckets must be numbers of seconds"),
    ("buckets", [2, 1], ValueError, "buckets must be positive seconds that go up"),
    ("buckets", [1, 1], ValueError, "buckets must be positive seconds that go up"),
    ("buckets", [0, 1], ValueError, "buckets must be positive seconds that go up"),
    ("buckets", [-1, 1], ValueError, "buckets must be positive seconds that go up"),
    ("buckets", [1, float("nan")], ValueError, "buckets must be positive seconds that go up"),
    ("buckets", [1, float("inf"), float("inf")], ValueError, "buckets must be positive seconds that go up"),
    ("buckets", {"https": [1]}, ValueError, "buckets has no 'https': give seconds for 'http', 'database'"),
    ("buckets", {"http": 1}, TypeError, "buckets must be a list of seconds"),
    ("skip_paths", 5, TypeError, "skip_paths must be a list"),
    ("skip_paths", b"/a", TypeError, "skip_paths must be a list"),
    ("skip_paths", {"/a": 1}, TypeError, "skip_paths must be a list"),
    ("skip_paths", ["/a", 5], TypeError, "skip_paths must be a list of texts or compiled patterns of text, and has 5"),
    ("skip_paths", [re.compile(b"/a")], TypeError, "skip_paths must be a list of texts or compiled patterns"),
    ("skip_paths", ["health"], ValueError, "a path begins with a slash: give '/health'"),
    ("skip_paths", [""], ValueError, "a path begins with a slash"),
    ("skip_paths", ["^/health$"], ValueError, "looks like a regular expression: give re.compile"),
    ("skip_paths", ["/(a|b)"], ValueError, "looks like a regular expression: give re.compile"),
    ("skip_paths", [r"/items/\d"], ValueError, "looks like a regular expression: give re.compile"),
    ("skip_paths", ["/items/[0-9]"], ValueError, "looks like a regular expression: give re.compile"),
    ("skip_paths", ["/items/[abc]+"], ValueError, "looks like a regular expression: give re.compile"),
    ("skip_methods", 5, TypeError, "skip_methods must be a list"),
    ("skip_methods", ["GET /a"], ValueError, "skip_methods has 'GET /A': give methods such as 'OPTIONS'"),
    ("labels", ["team"], TypeError, "labels must be a dictionary"),
    ("labels", {"team": None}, TypeError, "labels has None for 'team'"),
    ("labels", {"team": ["a"]}, TypeError, "labels has .* for 'team': give a text, or a function"),
    ("labels", {"team": _asynchronous}, TypeError, "labels has an async function for 'team'"),
    ("labels", {"team": _Asynchronous()}, TypeError, "labels has an async function for 'team'"),
    ("labels", {"team": lambda: "x"}, TypeError, r"labels has a function for 'team' that takes neither \(request\)"),
    ("labels", {"team": lambda _a, _b, _c: "x"}, TypeError, "labels has a function for 'team' that takes neither"),
    ("labels", {5: "x"}, ValueError, "labels has the name 5"),
    ("labels", {"a-b": "x"}, ValueError, "labels has the name 'a-b'"),
    ("labels", {"__a": "x"}, ValueError, "labels has the name '__a'"),
    ("labels", {"route": "x"}, ValueError, "labels has the name 'route', which metrics have already"),
    ("labels", {"le": "x"}, ValueError, "labels has the name 'le', which metrics have already"),
    ("labels", {f"l{number}": "x" for number in range(11)}, ValueError, "labels has 11 labels, and 10 are possible"),
    ("group_status", "yes", TypeError, "group_status must be True or False, not str"),
    ("in_progress", 1, TypeError, "in_progress must be True or False, not int"),
    ("sizes", [], TypeError, "sizes must be True or False, not list"),
    ("prefix", 5, TypeError, "prefix must be a text, not int"),
    ("prefix", "a:", ValueError, "prefix='a:' is not the beginning of a metric's name"),
    ("status_codes", 200, TypeError, "status_codes must be a list"),
    ("status_codes", "2xx", TypeError, "status_codes must be a list"),
    ("status_codes", [], ValueError, "status_codes is empty"),
    ("status_codes", [600], ValueError, "status_codes has '600'"),
    ("status_codes", ["2x"], ValueError, "status_codes has '2x'"),
]


@pytest.mark.parametrize(("option", "value", "error", "text"), WRONG, ids=[f"{one[0]} {one[1]!r:.20}" for one in WRONG])
def test_a_wrong_option_is_named(option: str, value: Any, error: type[Exception], text: str) -> None:
    """The error says which option is wrong, and what to give."""
    with pytest.raises(error, match=text):
        RequestOptions(**{option: value})


RIGHT: list[tuple[str, Any, Any]] = [
    ("buckets", (0.1, 1, 300), {"http": (0.1, 1.0, 300.0), "database": (0.1, 1.0, 300.0)}),
    ("buckets", ["0.1", "+Inf"], {"http": (0.1,), "database": (0.1,)}),
    ("buckets", {"database": [1], "function": [60]}, {"database": (1.0,), "function": (60.0,)}),
    ("skip_paths", "/a", ("/a",)),
    ("skip_paths", [], ()),
    ("skip_paths", ["/items/{id}", "*.css", "__unmatched__"], ("/items/{id}", "*.css", "__unmatched__")),
    ("skip_methods", {"head"}, ("HEAD",)),
    ("labels", {"team": "shop", "version": 3}, {"team": "shop", "version": "3"}),
    ("labels", {}, {}),
    ("status_codes", [404, "5XX"], ("404", "5xx")),
    ("sizes", False, False),
]


@pytest.mark.parametrize(("option", "value", "kept"), RIGHT)
def test_each_form_of_an_option_becomes_one(option: str, value: Any, kept: Any) -> None:
    """What is kept does not depend on how it was written."""
    assert getattr(RequestOptions(**{option: value}), option) == kept


@pytest.mark.parametrize(
    "function", [str, functools.partial(lambda word, _request: word, "a"), lambda *_arguments: "x", "".join]
)
def test_any_callable_may_be_a_label(function: Any) -> None:
    """A class, a partial function and a method will do."""
    assert RequestOptions(labels={"team": function}).labels == {"team": function}


def test_an_argument_beats_the_settings() -> None:
    """What a call says counts, an empty list as well; where it says nothing, the settings count."""
    settings = RequestOptions(skip_paths=["/health"], sizes=True, group_status=True)
    assert RequestOptions(skip_paths=[], sizes=False).over(settings) == RequestOptions(
        skip_paths=[], sizes=False, group_status=True
    )


def test_variables_are_read() -> None:
    """Each option that can be text has a variable."""
    settings = Settings.from_env(
        {
            "METRICS_PREFIX": "shop_",
            "METRICS_BUCKETS": "0.1, 1,60",
            "METRICS_FUNCTION_BUCKETS": "1,900",
            "METRICS_SKIP_PATHS": "/health, /static/*,",
            "METRICS_SKIP_METHODS": "head,OPTIONS",
            "METRICS_LABELS": "team=shop, region=fra1",
            "METRICS_GROUP_STATUS": "true",
            "METRICS_IN_PROGRESS": "1",
            "METRICS_SIZES": "off",
            "METRICS_STATUS_CODES": "2xx,404",
            "METRICS_MAX_LABEL_VALUES": "7",
        }
    )
    assert settings.max_label_values == 7
    assert settings.options == RequestOptions(
        buckets={"http": [0.1, 1, 60], "database": [0.1, 1, 60], "function": [1, 900]},
        skip_paths=["/health", "/static/*"],
        skip_methods=["HEAD", "OPTIONS"],
        labels={"team": "shop", "region": "fra1"},
        group_status=True,
        in_progress=True,
        sizes=False,
        status_codes=["2xx", "404"],
        prefix="shop_",
    )


def test_databases_may_have_other_buckets_than_requests() -> None:
    """The narrower variable beats the wider one."""
    options = Settings.from_env({"METRICS_BUCKETS": "1,60", "METRICS_DATABASE_BUCKETS": "0.001,0.1"}).options
    assert options is not None
    assert options.buckets == {"http": (1.0, 60.0), "database": (0.001, 0.1)}


def test_without_variables_there_are_no_options() -> None:
    """An app that chooses nothing pays nothing."""
    assert Settings.from_env({"METRICS_BUCKETS": " "}).options is None


@pytest.mark.parametrize(
    ("variable", "value", "advice"),
    [
        ("METRICS_BUCKETS", "fast", "must be seconds that go up, such as 0.1,0.5,1,60, not 'fast'"),
        ("METRICS_DATABASE_BUCKETS", "2,1", "must be seconds that go up"),
        ("METRICS_SKIP_PATHS", "health", "must be paths such as /health,/static/*"),
        ("METRICS_SKIP_METHODS", "G T", "must be methods such as HEAD,OPTIONS"),
        ("METRICS_PREFIX", "shop-", "must be the beginning of a metric's name, such as shop_"),
        ("METRICS_LABELS", "team", "must be labels such as team=shop,region=fra1"),
        ("METRICS_LABELS", "route=x", "must be labels such as"),
        ("METRICS_STATUS_CODES", "ok", "must be statuses such as 2xx,404"),
        ("METRICS_SIZES", "maybe", "must be true or false"),
        ("METRICS_MAX_LABEL_VALUES", "0", "must be a whole number from 1 to 10000"),
    ],
)
def test_a_wrong_variable_is_named(variable: str, value: str, advice: str) -> None:
    """The error names the variable, and says what it must be."""
    with pytest.raises(SettingsError, match=f"^{variable} {re.escape(advice)}"):
        Settings.from_env({variable: value})


def test_the_options_of_settings_have_one_type() -> None:
    """A dictionary in their place is found at once, not with the first request."""
    with pytest.raises(TypeError, match="options must be RequestOptions, not dict"):
        Settings(options={"sizes": True})  # type: ignore[arg-type]


def test_settings_with_options_have_a_hash() -> None:
    """They may be the argument of a function that is cached, as an app factory's are."""
    options = RequestOptions(buckets=[1], labels={"team": "shop"}, skip_paths=["/a"])
    assert len({Settings(options=options), Settings(options=RequestOptions(labels={"team": "shop"}))}) == 2
