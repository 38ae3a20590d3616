"""Instruments of the program under our names: an error, or left out of what is sent."""

from __future__ import annotations

import pytest

from tests.support.client_versions import has_utf_8_names
from tests.support.named_program import run_program
from tests.support.variants import variants

pytestmark = pytest.mark.slow

# Each takes a name that we use, or that a page derives from ours or from the program's.
TAKEN = [
    'Counter("http_requests_total", "Theirs.", ["path"])',
    'Counter("http_requests", "Theirs.")',
    'Gauge("http_requests_total", "Theirs.")',
    'Gauge("http_requests", "Theirs.")',
    'Histogram("http_requests", "Theirs.")',
    'NativeHistogram("http_requests", "Theirs.")',
    'Summary("http_requests_total", "Theirs.")',
    'Info("http_requests", "Theirs.")',
    'Enum("http_requests", "Theirs.", states=["a"])',
    'Gauge("http_requests_created", "Theirs.")',
    'Counter("requests_total", "Theirs.", namespace="http")',
    *(['Counter("http.requests", "Theirs.")'] if has_utf_8_names else []),
]


REFUSED = """
for declared in TAKEN:
    theirs = eval(declared)
    message = refused()
    for part in ("http_requests_total", "kairo_metrics", "default registry", theirs._type, 'prefix="'):
        assert part in message, (declared, part, message)
    REGISTRY.unregister(theirs)
# Nothing was done by halves.
theirs = Counter("http_requests_total", "Theirs.")
refused()
assert "kairo" not in generate_latest().decode()
instrumented = instrument(app, settings=settings, store=store, prefix="cms_")
instrument(app)
theirs.inc(5)
request(instrumented)
if ENABLED:
    assert sent("http_requests_total") == {"http_requests_total": 5}
    assert sent("cms_http_requests") == {f"cms_{OURS}": 1}
"""


@pytest.mark.parametrize("enabled", [True, False], ids=["on", "off"])
def test_a_taken_name_is_an_error_that_names_the_way_out(*, enabled: bool) -> None:
    """`instrument` says whose name is taken and names `prefix`, with metrics on and off; then the prefix helps."""
    run_program(f"TAKEN = {TAKEN!r}\n{REFUSED}", enabled=enabled)


FREE = """
class Collector:
    def collect(self):
        yield CounterMetricFamily("http_requests", "Not sent by us.", value=1)

REGISTRY.register(Collector())
Counter("http_requests_sent_total", "Theirs.")
Counter("shop_http_requests_total", "Theirs.")
Histogram("http_request_duration", "Theirs.")
instrument(app, settings=settings, store=store)
"""


@pytest.mark.parametrize("enabled", variants([True, False], [True]), ids=["on", "off"])
def test_other_names_are_free(*, enabled: bool) -> None:
    """Names that only look alike, and a collector that is never sent, are no clash."""
    run_program(FREE, enabled=enabled)


OTHER_NAMES = """
private = CollectorRegistry()
theirs = Counter("shop_api_errors_total", "Theirs.", registry=private)
install(private)
message = refused(prefix="shop_")
assert "shop_api_errors_total" in message and "a registry given to install" in message, message
assert 'prefix="shop_app_"' in message, message
private.unregister(theirs)
fresh = CollectorRegistry()
Counter("shop_http_requests_total", "Theirs.", registry=fresh)
assert "shop_http_requests_total" in refused(prefix="shop_", registry=fresh)

for name in ("kairo_pushes_total", "kairo_batches_total"):
    theirs = Counter(name, "Theirs.")
    message = refused(prefix="shop_")
    assert name in message and message.endswith("Rename yours."), message
    REGISTRY.unregister(theirs)
instrument(app, settings=settings, store=store, prefix="shop_")
"""


@pytest.mark.parametrize("enabled", [True, False], ids=["on", "off"])
def test_prefixed_and_kairo_names_can_be_taken_too(*, enabled: bool) -> None:
    """The names with the prefix count, also in a registry given to `install`; a `kairo_` name has to be renamed."""
    run_program(OTHER_NAMES.replace("install(private)", "open_pipeline(settings, store, (private,))"), enabled=enabled)


OUR_LABEL = """
theirs = Gauge("load", "Theirs.", ["instance_id"], multiprocess_mode="livemax")
for options in ({}, {"prefix": "shop_"}):
    message = refused(**options)
    assert "gauge load" in message and "the label instance_id" in message and "default registry" in message, message
REGISTRY.unregister(theirs)
Gauge("load", "Theirs.", ["instance_id"], multiprocess_mode="sum")
Counter("loads_total", "Theirs.", ["instance_id"])
instrument(app, settings=settings, store=store)
Gauge("late", "Theirs.", ["instance_id"]).labels("a").set(2)
assert REGISTRY.get_sample_value("late", {"instance_id": "a"}) == 2
if ENABLED:
    assert sent("late") == {}
"""


@pytest.mark.parametrize("enabled", [True, False], ids=["on", "off"])
def test_the_label_that_names_an_instance_is_ours(*, enabled: bool) -> None:
    """A gauge with a value for each instance and the label `instance_id` is an error; a later one is not sent."""
    told = run_program(OUR_LABEL, enabled=enabled).splitlines()
    assert len(told) == enabled
    assert all("your gauge late is not sent" in line and "instance_id" in line for line in told)


WRONG_PREFIXES = """
for wrong in ("9_", "cms-", "a b", "é_", "a:b_", "{", "cms_\\n"):
    assert "prefix=" in refused(prefix=wrong), wrong
for wrong in (1, b"cms_", ["cms_"]):
    try:
        instrument(app, settings=settings, store=store, prefix=wrong)
    except TypeError as err:
        assert "prefix must be a text" in str(err), err
    else:
        raise AssertionError(wrong)
instrument(app, settings=settings, store=store, prefix="cms_")
instrument(app)
install()
install(prefix="cms_")
for later in (lambda: instrument(app, prefix="shop_"), lambda: install(prefix=""), lambda: install(prefix="x_")):
    try:
        later()
    except KairoError as err:
        assert "prefix='cms_'" in str(err), err
    else:
        raise AssertionError("two prefixes")
"""


LATE_PREFIX = """
install()
instrument(app)
try:
    instrument(app, prefix="cms_")
except KairoError as err:
    assert "comes too late" in str(err), err
else:
    raise AssertionError("two prefixes")
"""


@pytest.mark.parametrize("enabled", [True, False], ids=["on", "off"])
def test_a_wrong_prefix_is_a_clear_error(*, enabled: bool) -> None:
    """A prefix that no name can begin with, and a second prefix in one process, are refused, on and off."""
    run_program(WRONG_PREFIXES, enabled=enabled)
    run_program("open_pipeline(settings, store)\n" + LATE_PREFIX, enabled=enabled)


# What a program declares after `instrument`, what it does with it, and what its own page shows then.
LATE = [
    ('Counter("http_requests_total", "Theirs.", ["path"])', 'labels("/").inc(2)', '_total{path="/"} 2.0'),
    ('Gauge("http_requests_total", "Theirs.")', "inc(2)", "http_requests_total 2.0"),
    ('Gauge("http_requests", "Theirs.", multiprocess_mode="all")', "set(2)", "http_requests 2.0"),
    ('Gauge("http_requests", "Theirs.")', "set_function(lambda: 2)", "http_requests 2.0"),
    ('Histogram("http_requests", "Theirs.")', "observe(2)", "http_requests_sum 2.0"),
    ('NativeHistogram("http_requests", "Theirs.")', "observe(2)", "http_requests_sum 2.0"),
    ('NativeHistogram("http_requests", "Theirs.", ["path"])', 'labels("/").observe(2)', '_sum{path="/"} 2.0'),
    ('Summary("http_requests", "Theirs.", ["path"])', 'labels("/").observe(2)', '_sum{path="/"} 2.0'),
    ('Info("http_requests", "Theirs.")', 'info({"a": "b"})', '_info{a="b"} 1.0'),
    ('Info("http_requests", "Theirs.", ["path"])', 'labels("/").info({"a": "b"})', '_info{a="b",path="/"} 1.0'),
    ('Enum("http_requests", "Theirs.", states=["a", "b"])', 'state("b")', 'http_requests{http_requests="b"} 1.0'),
]


DECLARED_LATE = """
instrumented = instrument(app, settings=settings, store=store)
for number, (declared, work, shown) in enumerate(LATE):
    theirs = eval(declared)
    eval(f"theirs.{work}")
    page = generate_latest().decode()
    assert shown in page, (declared, page)
    request(instrumented)
    assert sent("http_requests") == {OURS: 2 * number + 1}, (declared, sent("http_requests"))
    if theirs._labelnames:
        theirs.labels("gone")
        theirs.remove("gone")
        with contextlib.suppress(KeyError):  # of old versions of prometheus_client
            theirs.remove("never")
        if hasattr(theirs, "remove_by_labels"):
            theirs.remove_by_labels({"path": "/"})
        theirs.clear()
        assert "path=" not in generate_latest().decode(), declared
    instrument(app)
    install()
    request(instrumented)
    assert sent("http_requests") == {OURS: 2 * number + 2}, (declared, sent("http_requests"))
    REGISTRY.unregister(theirs)
"""


def test_what_takes_a_name_later_goes_on_in_its_own_registry() -> None:
    """The page shows ours; theirs works, is not sent, removes nothing of ours, and is logged once for each name."""
    log = run_program(f"LATE = {LATE!r}\n{DECLARED_LATE}").splitlines()
    told = [line for line in log if line.startswith("LOG")]
    assert [line.partition(" is not sent")[0] for line in told] == [
        "LOG your counter http_requests_total",
        "LOG your gauge http_requests_total",
    ]
    assert all("kairo_metrics measures under the name http_requests_total" in line for line in told)
    assert all('prefix="' in line for line in told)


INSTALLED_LATER = """
instrumented = instrument(app, settings=settings, store=store)
private = CollectorRegistry()
theirs = Counter("http_requests_total", "Theirs.", ["path"], registry=private)
theirs.labels("/").inc(5)
others = Counter("jobs_total", "Theirs.", registry=private)
others.inc()
install(private)
theirs.labels("/").inc(5)
theirs.labels("/new").inc(5)
others.inc()
request(instrumented)
assert sent("http_requests") == {OURS: 1}, sent("http_requests")
assert sent("jobs") == {"jobs_total": 2}
assert private.get_sample_value("http_requests_total", {"path": "/"}) == 10
"""


INSTALLED_BEFORE = """
private = CollectorRegistry()
theirs = Counter("http_requests_total", "Theirs.", ["path"], registry=private)
theirs.labels("/").inc(5)
open_pipeline(settings, store, (private,))
theirs.labels("/").inc(5)
theirs.labels("/new").inc(5)
assert sent("http_requests") == {}
assert "a registry given to install" in refused()
instrumented = instrument(app, settings=settings, store=store, prefix="cms_")
theirs.labels("/new").inc(5)
request(instrumented)
assert sent("http_requests") == {
    'http_requests_total{path="/"}': 10, 'http_requests_total{path="/new"}': 10
}, sent("http_requests")
assert sent("cms_http_requests_total") == {"cms_" + OURS: 1}
"""


def test_a_registry_that_is_installed_later_sends_all_but_the_taken_name() -> None:
    """`sum(http_requests_total)` on the page is that of ours alone, and the rest of the registry is sent."""
    assert run_program(INSTALLED_LATER).count("LOG") == 1


def test_a_prefix_frees_what_was_left_out() -> None:
    """A counter that `install` left out is sent from the moment `instrument` has a prefix, with all it has counted."""
    assert run_program(INSTALLED_BEFORE).count("LOG") == 1
