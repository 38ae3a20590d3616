"""The shape of our families: one in each process, settled by the first call that may choose."""

from __future__ import annotations

import re
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram
from sqlalchemy import create_engine, text

from lib.kairo_metrics import KairoError, RequestOptions, Settings, aflush, install, instrument, measured
from lib.kairo_metrics.delivery import process_pipeline
from lib.kairo_metrics.instruments.catalogue import OWN, catalogue
from lib.kairo_metrics.instruments.function_instruments import FunctionInstruments
from lib.kairo_metrics.instruments.query_instruments import QueryInstruments
from lib.kairo_metrics.integrations.sqlalchemy import observe
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.instance import samples, settings
from tests.support.recording import Recording

pytestmark = pytest.mark.usefixtures("fresh_catalogue", "recording")


async def app(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer nothing."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


SCOPE = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b"", "root_path": ""}


async def call(target: Any) -> None:
    """Send one request."""

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(_message: Any) -> None: ...

    await target(dict(SCOPE), receive, send)


def fresh_app() -> Any:
    """Return an app that is not instrumented."""

    async def another(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return another


def bounds_of(found: dict[str, float]) -> list[str]:
    """Return the bounds of a histogram, in order."""
    return sorted({re.findall(r'le="([^"]+)"', sample)[0] for sample in found}, key=float)


SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "prefix": ({"prefix": "a_"}, {"prefix": "b_"}),
    "buckets": ({"buckets": [1]}, {"buckets": [2]}),
    "labels": ({"labels": {"team": "a"}}, {"labels": {"tier": "a"}}),
    "names": ({"names": "flask_exporter"}, {"names": "starlette_exporter"}),
}


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("option", SHAPES)
def test_another_shape_in_the_same_process_is_an_error(option: str, enabled: bool) -> None:
    """A later call gives the same or nothing; the error names the option and both values, with metrics on and off."""
    process_pipeline.close_pipeline()
    first, other = SHAPES[option]
    chosen = settings() if enabled else Settings()
    instrument(fresh_app(), settings=chosen, **first)
    instrument(fresh_app(), settings=chosen, **first)
    instrument(fresh_app())
    with pytest.raises(KairoError, match=f"metrics have {option}=.* so {option}=.* comes too late; give each call the"):
        instrument(fresh_app(), **other)


@pytest.mark.parametrize("option", SHAPES)
def test_a_shape_comes_too_late_after_a_call_without_one(option: str) -> None:
    """The first call settles it, also if it has chosen nothing."""
    instrument(fresh_app())
    with pytest.raises(KairoError, match=f"so {option}=.* comes too late"):
        instrument(fresh_app(), **SHAPES[option][0])


def test_install_leaves_the_shape_open() -> None:
    """A script's `install` may come before the app."""
    install()
    instrument(fresh_app(), buckets=[1], labels={"team": "a"})


def test_what_install_does_not_say_stays_open() -> None:
    """A prefix and the buckets of functions leave the labels of requests to the app."""
    install(prefix="cms_")
    install(buckets={"function": [60, 900]})
    instrument(fresh_app(), labels={"team": "a"})
    with pytest.raises(KairoError, match=r"so labels=.* comes too late"):
        instrument(fresh_app(), labels={"tier": "a"})


@pytest.mark.parametrize("enabled", [True, False])
def test_install_and_instrument_agree(enabled: bool) -> None:
    """What a script says twice is an error in either order, with metrics on and off."""
    process_pipeline.close_pipeline()
    chosen = settings() if enabled else Settings()
    instrument(fresh_app(), settings=chosen, buckets=[1], prefix="a_")
    install(buckets=[1], prefix="a_")
    for other in ({"buckets": [2]}, {"prefix": "b_"}):
        with pytest.raises(KairoError, match="comes too late"):
            install(**other)
    with pytest.raises(ValueError, match="buckets must be positive seconds that go up"):
        install(buckets=[2, 1])
    with pytest.raises(TypeError, match="buckets must be a list of seconds"):
        install(buckets=5)  # type: ignore[arg-type]


async def test_a_script_chooses_the_buckets_of_its_functions(recording: Recording) -> None:
    """Also after the first of them has run: no run is lost."""
    with measured("early"):
        pass
    install(buckets={"function": [60, 900]})
    with measured("nightly"):
        pass
    assert bounds_of(await recording.samples("function_duration_seconds_bucket")) == ["60.0", "900.0", "+Inf"]
    assert sum((await recording.samples("function_duration_seconds_count")).values()) == 2


def test_after_an_error_the_shape_is_open() -> None:
    """A call that is refused has chosen nothing."""
    with pytest.raises(ValueError, match="labels has the name"):
        instrument(fresh_app(), labels={"a b": "x"}, buckets=[1])
    instrument(fresh_app(), buckets=[2])


def test_label_names_in_another_order_are_the_same() -> None:
    """The order of a dictionary means nothing."""
    instrument(fresh_app(), labels={"a": "1", "b": "2"})
    instrument(fresh_app(), labels={"b": "3", "a": "4"})


async def test_queries_before_the_first_app_keep_their_counts(recording: Recording) -> None:
    """Buckets that are chosen after the first query lose no observation, counted with the pipeline open or before."""
    engine = create_engine("sqlite://")
    observe(engine)
    for _ in range(3):
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    instrument(fresh_app(), prefix="cms_", buckets={"database": [0.3, 60]})
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    engine.dispose()
    found = await recording.samples("cms_tenant_db_query_duration_seconds_bucket")
    assert bounds_of(found) == ["0.3", "60.0", "+Inf"]
    assert sum((await recording.samples("cms_tenant_db_query_duration_seconds_count")).values()) == 4
    assert await recording.samples("tenant_db_query_duration_seconds") == {}


async def test_what_was_counted_before_any_pipeline_is_kept() -> None:
    """Counts of instruments that nobody has recorded yet are sent as well."""
    process_pipeline.close_pipeline()
    catalogue(QueryInstruments).query_duration.labels("Entry", "select").observe(0.05)
    chosen = settings()
    store = MemoryStore(chosen)
    instrument(fresh_app(), settings=chosen, store=store, buckets=[0.3, 60])
    catalogue(QueryInstruments).query_duration.labels("Entry", "select").observe(0.5)
    assert await aflush()
    found = await samples(store, "tenant_db_query_duration_seconds")
    assert [value for sample, value in found.items() if "_count" in sample] == [2]
    assert [value for sample, value in found.items() if 'le="+Inf"' in sample] == [2]


@pytest.mark.parametrize("has_app", [True, False])
async def test_a_database_that_is_observed_before_the_settings_are_known(has_app: bool) -> None:
    """`observe` often comes first in a program: its metrics have the prefix and the buckets of the variables, too."""
    process_pipeline.close_pipeline()
    catalogue(QueryInstruments).query_duration.labels("Entry", "select").observe(0.05)
    chosen = settings(options=RequestOptions(prefix="env_", buckets=[0.3, 60]))
    store = MemoryStore(chosen)
    if has_app:
        instrument(fresh_app(), settings=chosen, store=store)
    else:
        process_pipeline.open_pipeline(chosen, store)
    for _ in range(3):
        catalogue(QueryInstruments).query_duration.labels("Entry", "select").observe(0.5)
    assert await aflush()
    found = await samples(store, "env_tenant_db_query_duration_seconds")
    assert [value for sample, value in found.items() if "_count" in sample] == [4]
    assert bounds_of({sample: 0 for sample in found if "_bucket" in sample}) == ["0.3", "60.0", "+Inf"]
    assert await samples(store, "tenant_db_query_duration_seconds") == {}


async def test_one_list_of_buckets_is_for_requests_and_queries(recording: Recording) -> None:
    """As with `PROMETHEUS_LATENCY_BUCKETS` of django-prometheus; other durations keep their own."""
    target = instrument(fresh_app(), buckets=[0.3, 60])
    await call(target)
    catalogue(QueryInstruments).query_duration.labels("Entry", "select").observe(0.5)
    catalogue(FunctionInstruments).duration.labels("sync").observe(0.5)
    for family in ("http_request_duration_seconds", "tenant_db_query_duration_seconds"):
        assert bounds_of(await recording.samples(f"{family}_bucket")) == ["0.3", "60.0", "+Inf"]
    assert "3600.0" in bounds_of(await recording.samples("function_duration_seconds_bucket"))


async def test_a_process_without_an_app_has_the_buckets_of_the_settings() -> None:
    """A cron that only measures functions chooses by a variable."""
    process_pipeline.close_pipeline()
    chosen = settings(options=RequestOptions(buckets={"function": [60, 900]}))
    store = MemoryStore(chosen)
    process_pipeline.open_pipeline(chosen, store)
    catalogue(FunctionInstruments).duration.labels("sync").observe(61)
    assert await aflush()
    assert bounds_of(await samples(store, "function_duration_seconds_bucket")) == ["60.0", "900.0", "+Inf"]


@pytest.mark.parametrize(("given", "shown"), [(None, "env_"), ("own_", "own_"), ("", "")])
async def test_a_prefix_of_the_settings_gives_way_to_one_of_a_call(given: str | None, shown: str) -> None:
    """The variable counts where no call gives a prefix; queries before the first call have the prefix of the call."""
    process_pipeline.close_pipeline()
    chosen = settings(options=RequestOptions(prefix="env_"))
    store = MemoryStore(chosen)
    process_pipeline.open_pipeline(chosen, store)
    catalogue(QueryInstruments).query_duration.labels("Entry", "select").observe(0.05)
    target = instrument(fresh_app(), prefix=given)
    await call(target)
    assert await aflush()
    for family in ("http_requests_total", "tenant_db_query_duration_seconds_count"):
        assert list((await samples(store, f"{shown}{family}")).values()) == [1]
        assert list((await samples(store, family)).values()) == ([] if shown else [1])


OPTIONAL = [("sizes", "http_request_size_bytes"), ("in_progress", "http_requests_in_progress")]


@pytest.mark.parametrize(("option", "name"), OPTIONAL)
@pytest.mark.parametrize("earlier", [True, False], ids=["after another app", "at first"])
def test_a_name_is_ours_only_if_it_is_chosen(option: str, name: str, earlier: bool) -> None:
    """A program's own `http_request_size_bytes` is no error, until an app asks for ours."""
    registry, chosen = CollectorRegistry(), cast(Any, {option: True})
    Histogram(name, "Of the program.", registry=registry)
    if earlier:
        instrument(fresh_app(), registry=registry)
    with pytest.raises(ValueError, match=f"the name {name} is taken"):
        instrument(fresh_app(), registry=registry, **chosen)
    instrument(fresh_app(), registry=registry)


async def test_the_programs_own_metric_of_such_a_name_is_shown(recording: Recording) -> None:
    """A metric whose name we could have is the program's while nobody has chosen ours."""
    registry = CollectorRegistry()
    own = Counter("http_request_size_bytes", "Of the program.", registry=registry)
    instrument(fresh_app(), registry=registry)
    own.inc(5)
    assert await recording.samples("http_request_size_bytes") == {"http_request_size_bytes_total": 5}


def test_nothing_is_built_that_is_not_chosen() -> None:
    """The families of options are there only with the option."""
    instrument(fresh_app())
    assert not {"http_requests_in_progress", "http_request_size_bytes"} & set(OWN._names_to_collectors)
