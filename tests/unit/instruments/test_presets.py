"""The names of other libraries: one choice for a process, and an error that says what to do where it is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter

from lib.kairo_metrics import KairoError, RequestOptions, Settings, aflush, install, instrument
from lib.kairo_metrics.config.options import NAMES
from lib.kairo_metrics.delivery import process_pipeline
from lib.kairo_metrics.instruments.catalogue import OWN
from lib.kairo_metrics.instruments.presets import PRESETS
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.entry_points import APPS, Act
from tests.support.instance import samples, settings
from tests.support.recording import Recording

pytestmark = pytest.mark.usefixtures("fresh_catalogue", "recording")

# The counter of requests of each library, for a request that matches no route.
COUNTERS = {
    "django_prometheus": "django_http_requests_before_middlewares_total",
    "fastapi_instrumentator": 'http_requests_total{handler="none",method="GET",status="2xx"}',
    "flask_exporter": 'flask_http_request_total{method="GET",status="200"}',
    "starlette_exporter": (
        'starlette_requests_total{app_name="starlette",method="GET",path="__unknown__",status_code="200"}'
    ),
}


def fresh_app() -> Any:
    """Return an app that is not instrumented."""

    async def app(_scope: Any, _receive: Any, _send: Any) -> None: ...

    return app


def test_each_name_has_a_preset() -> None:
    """What the option takes is what there is."""
    assert tuple(sorted(PRESETS)) == NAMES == tuple(sorted(COUNTERS))


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize(
    ("names", "error"), [("flask", ValueError), ("", ValueError), (1, TypeError), (["flask_exporter"], TypeError)]
)
def test_a_wrong_name_is_an_error(names: Any, error: type[Exception], enabled: bool) -> None:
    """The error says which names there are, with metrics on and off."""
    process_pipeline.close_pipeline()
    with pytest.raises(error, match="names must be one of 'django_prometheus', 'fastapi_instrumentator'"):
        instrument(fresh_app(), settings=settings() if enabled else Settings(), names=names)


@pytest.mark.parametrize("way", APPS)
@pytest.mark.parametrize("names", NAMES)
async def test_each_entry_point_counts_under_the_names(way: str, names: str, recording: Recording) -> None:
    """Requests to apps of all kinds are counted as the library counts them, and not under our own names."""
    app = APPS[way]
    await app.call(app.measure(app.build(Act()), names=names, skip_paths=[]))
    counted = await recording.samples("")
    assert counted[COUNTERS[names]] == 1
    assert not {sample for sample in counted if sample.startswith("api_errors") or 'route="' in sample}


@pytest.mark.parametrize(
    ("prefix", "counter"),
    [("shop_", "shop_http_request_total"), ("", "http_request_total"), (None, "flask_http_request_total")],
)
async def test_a_prefix_takes_the_place_of_the_library_s_own(
    prefix: str | None, counter: str, recording: Recording
) -> None:
    """Without one the names begin as those of the library do; an empty one leaves nothing before them."""
    app = APPS["wsgi"]
    await app.call(app.measure(app.build(Act()), names="flask_exporter", prefix=prefix))
    assert await recording.samples(f"{counter}{{") == {f'{counter}{{method="GET",status="200"}}': 1}


async def test_labels_are_added_to_those_of_the_library(recording: Recording) -> None:
    """A constant label of the library can be given another value, and further labels stand beside it."""
    app = APPS["asgi"]
    labels = {"app_name": "shop", "region": "fra1"}
    await app.call(app.measure(app.build(Act()), names="starlette_exporter", labels=labels, skip_paths=[]))
    [counted] = await recording.samples("starlette_requests_total")
    assert 'app_name="shop"' in counted
    assert 'region="fra1"' in counted
    assert await recording.samples("starlette_requests_in_progress") == {
        'starlette_requests_in_progress{app_name="shop",method="GET",region="fra1"}': 0
    }


def test_a_label_of_the_library_can_t_be_added() -> None:
    """The error names the label and the library."""
    with pytest.raises(ValueError, match="labels has the name 'handler', which names='fastapi_instrumentator' has"):
        instrument(fresh_app(), names="fastapi_instrumentator", labels={"handler": "x"})


@pytest.mark.parametrize("names", [None, "starlette_exporter"])
def test_buckets_of_a_histogram_that_is_not_there(names: str | None) -> None:
    """They would be without effect."""
    with pytest.raises(ValueError, match="buckets has 'http_highr', which names='fastapi_instrumentator' alone has"):
        instrument(fresh_app(), names=names, buckets={"http_highr": [1]})
    instrument(fresh_app(), names="fastapi_instrumentator", buckets={"http_highr": [1]})
    instrument(fresh_app(), buckets={"http_highr": [1]})


def test_a_process_has_one_choice() -> None:
    """Later calls give the same names or none; others are an error that names both."""
    instrument(fresh_app(), names="flask_exporter", prefix="shop_")
    instrument(fresh_app(), names="flask_exporter")
    instrument(fresh_app())
    with pytest.raises(KairoError, match="names="):
        instrument(fresh_app(), names="django_prometheus")


async def test_a_prefix_is_that_of_the_names_wherever_it_comes_from(recording: Recording) -> None:
    """Given to `install` before, or as a variable, it takes the place of the library's own, as in `instrument`."""
    install(prefix="shop_")
    target = APPS["asgi"].measure(APPS["asgi"].build(Act()), names="flask_exporter")
    await APPS["asgi"].call(target)
    assert await recording.samples("shop_http_request_total") != {}


async def test_a_prefix_of_the_settings_is_that_of_the_names() -> None:
    """`METRICS_PREFIX` counts where the call gives the names alone."""
    process_pipeline.close_pipeline()
    chosen = settings(options=RequestOptions(prefix="env_"))
    store = MemoryStore(chosen)
    target = APPS["asgi"].measure(APPS["asgi"].build(Act()), settings=chosen, store=store, names="flask_exporter")
    await APPS["asgi"].call(target)
    assert await aflush()
    assert await samples(store, "env_http_request_total") != {}


def test_names_come_too_late_after_a_call_without_them() -> None:
    """The first app settles the names of the process; a script's `install` leaves them open."""
    install()
    instrument(fresh_app())
    with pytest.raises(KairoError, match="names="):
        instrument(fresh_app(), names="flask_exporter")


async def test_a_second_app_counts_under_the_same_names(recording: Recording) -> None:
    """An app that chooses nothing counts as the first one of its process does."""
    first, second = APPS["asgi"], APPS["wsgi"]
    first.measure(first.build(Act()), names="starlette_exporter", skip_paths=[])
    await second.call(second.measure(second.build(Act()), skip_paths=[]))
    assert (await recording.samples("starlette_requests_total"))[COUNTERS["starlette_exporter"]] == 1


def test_the_environment_can_choose(recording: Recording) -> None:
    """`METRICS_NAMES` chooses for apps that do not choose themselves, and a page alone changes nothing."""
    process_pipeline.close_pipeline()
    chosen = Settings.from_env({"ENABLE_METRICS": "true", "METRICS_NAMES": "starlette_exporter", "METRICS_SIZES": "on"})
    assert chosen.options is not None
    store = MemoryStore(chosen)
    process_pipeline.open_pipeline(chosen, store)
    instrument(fresh_app(), settings=chosen, store=store, labels={"app_name": "shop", "team": "a"}, prefix="shop_")
    process_pipeline.open_pipeline(chosen, store)
    assert recording is not None
    assert {"shop_requests_total", "shop_response_body_bytes_total"} <= set(OWN._names_to_collectors)


async def test_a_prefix_of_the_environment_is_taken(recording: Recording) -> None:
    """`METRICS_PREFIX` takes the place of the library's own prefix, as the argument does."""
    process_pipeline.close_pipeline()
    chosen = Settings.from_env({"ENABLE_METRICS": "true", "METRICS_PREFIX": "shop_"})
    instrument(fresh_app(), settings=chosen, store=MemoryStore(chosen), names="flask_exporter")
    assert recording is not None
    assert "shop_http_request_total" in OWN._names_to_collectors


@pytest.mark.parametrize("enabled", [True, False])
def test_the_library_beside_it_is_an_error(enabled: bool) -> None:
    """While a metric of the library is still made, the error names it, with metrics on and off."""
    process_pipeline.close_pipeline()
    registry = CollectorRegistry()
    Counter("flask_http_request_total", "Theirs.", ["method", "status"], registry=registry)
    with pytest.raises(
        ValueError, match=r"the name flask_http_request_total is taken.* If the library of names='flask_exporter' still"
    ):
        instrument(
            fresh_app(), settings=settings() if enabled else Settings(), registry=registry, names="flask_exporter"
        )


def test_our_own_names_are_free_under_others() -> None:
    """An app with an `http_requests_total` of its own can have the names of another library."""
    registry = CollectorRegistry()
    Counter("http_requests_total", "The app's.", registry=registry)
    instrument(fresh_app(), registry=registry, names="flask_exporter")
