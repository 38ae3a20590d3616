"""docs/migrating-options.md has every option of the four libraries, as they are installed."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import prometheus_fastapi_instrumentator.metrics as fastapi_metrics
import prometheus_flask_exporter
import prometheus_flask_exporter.multiprocess as flask_multiprocess
import pytest
import starlette_exporter
from prometheus_fastapi_instrumentator import Instrumentator
from prometheus_flask_exporter import PrometheusMetrics
from starlette_exporter import PrometheusMiddleware, from_header, from_response_header, optional_metrics

from lib import kairo_metrics
from lib.kairo_metrics import instrument
from tests.support.dev_server import REPOSITORY

PAGE = (REPOSITORY / "docs" / "migrating-options.md").read_text()
SETTINGS = (REPOSITORY / "docs" / "settings.md").read_text()
ROW = re.compile(r"^\| `([^`]+)` \| (.+) \|$", re.MULTILINE)
DJANGO = Path(importlib.util.find_spec("django_prometheus").submodule_search_locations[0])  # type: ignore[union-attr,index]


def options_of(*functions: Callable[..., Any], but: Iterable[str] = ()) -> set[str]:
    """Return the parameters of functions."""
    found = {name for function in functions for name in inspect.signature(function).parameters}
    return found - {"self", "cls", *but}


def taken_from_kwargs(module: Any) -> set[str]:
    """Return the options that a module takes out of its keyword arguments."""
    return set(re.findall(r"kwargs\.get\('(\w+)'\)", inspect.getsource(module)))


def public(owner: Any, kind: Callable[[Any], bool]) -> set[str]:
    """Return what an object has of its own, of one kind, with public names."""
    return {name for name, member in inspect.getmembers(owner, kind) if not name.startswith("_")}


def public_methods(owner: type) -> set[str]:
    return public(owner, lambda member: inspect.isfunction(member) or inspect.ismethod(member))


def variables(text: str) -> set[str]:
    """Return the variables of the environment that a module reads."""
    return {
        name
        for name in re.findall(r"'(\w+)'(?: in os\.environ|\))", text)
        if re.fullmatch(r"[A-Z_]+|prom\w+_dir", name)
    }


def django_texts(*names: str) -> str:
    files = [DJANGO / name for name in names] if names else [f for f in DJANGO.rglob("*.py") if "tests" not in f.parts]
    return "\n".join(file.read_text() for file in files)


def definitions(text: str, kind: str, names: str) -> set[str]:
    return set(re.findall(rf"^\s*{kind} ({names})\b", text, re.MULTILINE))


def backends() -> set[str]:
    """Return django-prometheus' backends of databases and caches."""
    return {
        f"django_prometheus.{kind}.backends.{module.name}"
        for kind in ("db", "cache")
        for module in pkgutil.iter_modules([str(DJANGO / kind / "backends")])
        if module.name != "common"
    }


FLASK_METHODS = [member for name, member in inspect.getmembers(PrometheusMetrics, callable) if not name.startswith("_")]
FASTAPI_METRICS = [getattr(fastapi_metrics, name) for name in public(fastapi_metrics, inspect.isfunction)]
FLASK_SUBCLASSES = [
    member
    for module in (prometheus_flask_exporter, flask_multiprocess)
    for _name, member in inspect.getmembers(module, inspect.isclass)
    if issubclass(member, PrometheusMetrics)
]
FLASK_TEXT = inspect.getsource(prometheus_flask_exporter) + inspect.getsource(flask_multiprocess)
TABLES: dict[str, set[str]] = {
    "PrometheusMiddleware": options_of(PrometheusMiddleware, but=["app"]),
    "from_header": options_of(from_header),
    "from_response_header": options_of(from_response_header),
    "Pages and optional metrics": {
        *public(starlette_exporter, lambda member: inspect.isfunction(member) and member.__name__.startswith("handle")),
        *optional_metrics.all_metrics,
    },
    "Instrumentator": options_of(Instrumentator),
    "Instrumentator.instrument": options_of(Instrumentator.instrument, but=["app"]),
    "Instrumentator.expose": options_of(Instrumentator.expose, but=["app"]),
    "Instrumentator.add": options_of(Instrumentator.add),
    "metrics": {function.__name__ for function in FASTAPI_METRICS} | options_of(*FASTAPI_METRICS),
    "PrometheusMetrics": options_of(PrometheusMetrics, but=["kwargs"]) | taken_from_kwargs(prometheus_flask_exporter),
    "Methods of PrometheusMetrics": {method.__name__ for method in FLASK_METHODS},
    "Parameters of these methods": options_of(
        *FLASK_METHODS,
        prometheus_flask_exporter.RESTfulPrometheusMetrics.init_app,
    ),
    "What its subclasses add": {
        *{name for owner in FLASK_SUBCLASSES for name in public_methods(owner)} - public_methods(PrometheusMetrics),
        *options_of(*FLASK_SUBCLASSES, but=["kwargs", *options_of(PrometheusMetrics)]),
    },
    "Classes and variables": {
        *definitions(FLASK_TEXT, "class", r"\w+Metrics") - {"PrometheusMetrics"},
        "NO_PREFIX",
        *variables(FLASK_TEXT),
    },
    "Settings": set(re.findall(r"\bPROMETHEUS_[A-Z_]+\b", django_texts())),
    "Middlewares": {
        *definitions(django_texts("middleware.py"), "class", r"Prometheus\w+"),
        *definitions(django_texts("middleware.py"), "def", r"\w+_metric"),
        *re.findall(r"^    (\w+_cls) =", django_texts("middleware.py"), re.MULTILINE),
    },
    "Backends, models and pages": {
        *backends(),
        *definitions(django_texts("models.py", "exports.py"), "def", r"[A-Z]\w+"),
        "ExportMigrations",
        "django_prometheus.testutils",
    },
}


def rows(table: str) -> list[tuple[str, str]]:
    """Return the rows of one table: the option of the library, and ours."""
    return ROW.findall(PAGE.partition(f"\n### {table}\n")[2].partition("\n#")[0])


@pytest.mark.parametrize("table", TABLES)
def test_each_option_of_a_library_is_in_the_table(table: str) -> None:
    """A table has what the installed library has: nothing is missing, nothing is made up, nothing is there twice."""
    listed = [option for option, _here in rows(table)]
    assert sorted(listed) == sorted(TABLES[table])


def test_there_is_no_other_table() -> None:
    """Each table of the page is compared with a library."""
    assert re.findall(r"^### (.+)$", PAGE, re.MULTILINE) == list(TABLES)


@pytest.mark.parametrize("table", TABLES)
def test_each_option_has_our_word_or_a_reason(table: str) -> None:
    """Beside an option stands an argument of ours that exists, a name of the package, a setting, or a reason."""
    arguments = set(inspect.signature(instrument).parameters)
    for option, here in rows(table):
        named = set(re.findall(r"`(\w+)=", here))
        assert named <= arguments | {"app_name", "export_defaults", "handler", "path"}, (option, named - arguments)
        functions = set(re.findall(r"`(\w+)\(\)`", here)) - {"labels", "generate_latest"}
        assert functions <= set(kairo_metrics.__all__), option
        assert set(re.findall(r"`(METRICS_\w+|ENABLE_\w+)`", here)) <= set(re.findall(r"`(\w+)`", SETTINGS)), option
        assert "`" in here or re.match(r"none[: ,]|it (may )?stays?\b|always\b|the same|that of|\[", here), (
            option,
            here,
        )
        assert not re.match(r"none\W*$", here), option
