"""docs/client-library.md has every public name of prometheus_client, and what it says of each is so."""

from __future__ import annotations

import inspect
import json
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary

from tests.support.dev_server import REPOSITORY

PAGE = (REPOSITORY / "docs/client-library.md").read_text()
INSTRUMENTS = (Counter, Gauge, Summary, Histogram, Info, Enum)
COMMON = {"labels", "remove", "remove_by_labels", "clear", "collect", "describe"}
# Newer than the oldest version that is supported.
YOUNGER = {
    *("CONTENT_TYPE_PLAIN_0_0_4", "CONTENT_TYPE_PLAIN_1_0_0", "aiohttp", "django", "remove_by_labels"),
    *("support_collectors_without_names=", "validation"),
}
ANSWERS = {"works", "this process", "page", "no"}


def rows() -> Iterator[tuple[list[str], str]]:
    """Give the names of each row of the tables, and its answer."""
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 3 and cells[1] not in {"here", "---"}:
            yield re.findall(r"`([^`]+)`", cells[0]), cells[1]


DOCUMENTED = {name: answer for names, answer in rows() for name in names}


def public(thing: Any) -> set[str]:
    """Return the public names of a class or module that are no modules."""
    return {name for name in dir(thing) if name[0] != "_" and not inspect.ismodule(getattr(thing, name))}


def test_every_name_of_the_library_is_documented() -> None:
    """Each public class, function and constant, each method of an instrument and of a registry, and each module."""
    expected = public(prometheus_client)
    expected |= {f"*.{name}" for kind in INSTRUMENTS for name in public(kind) & COMMON}
    expected |= {
        f"{kind.__name__}.{name}" for kind in (*INSTRUMENTS, CollectorRegistry) for name in public(kind) - COMMON
    }
    expected |= {f"CollectorRegistry.{name}" for name in public(CollectorRegistry)}
    expected |= {module.name for module in pkgutil.iter_modules(prometheus_client.__path__)}
    parameters = {
        name for kind in (Gauge, Histogram, Enum, CollectorRegistry) for name in inspect.signature(kind).parameters
    }
    expected |= {f"{name}=" for name in parameters if name[0] != "_" and name not in {"name", "documentation"}}
    assert sorted(expected - DOCUMENTED.keys()) == []
    younger = {name for name in DOCUMENTED.keys() - expected if name.removeprefix("*.") in YOUNGER | {"collect()"}}
    assert sorted(DOCUMENTED.keys() - expected - younger) == []


def test_every_row_has_an_answer() -> None:
    """It is one of the four that the page explains."""
    assert set(DOCUMENTED.values()) == ANSWERS


# By name: a program that uses it, and what the page shows then. Each has a metric of its own.
EXAMPLES: dict[str, tuple[str, dict[str, float]]] = {
    "Counter.inc": ("Counter('inc', '.').inc(2)", {"inc_total": 2}),
    "Counter.count_exceptions": (
        "try:\n    with Counter('failed', '.').count_exceptions(): 1 / 0\nexcept ZeroDivisionError: pass",
        {"failed_total": 1},
    ),
    "Counter.reset": ("c = Counter('again', '.'); c.inc(5); c.reset(); c.inc()", {"again_total": 1}),
    "Gauge.inc": ("Gauge('up', '.', multiprocess_mode='sum').inc(3)", {"up": 3}),
    "Gauge.dec": ("Gauge('down', '.', multiprocess_mode='sum').dec(3)", {"down": -3}),
    "Gauge.set": ("Gauge('level', '.', multiprocess_mode='mostrecent').set(7)", {"level": 7}),
    "Gauge.set_to_current_time": (
        "g = Gauge('now', '.', multiprocess_mode='sum'); g.set_to_current_time()\nassert g._value.get() > 1; g.set(1)",
        {"now": 1},
    ),
    "Gauge.track_inprogress": (
        "g = Gauge('running', '.', multiprocess_mode='livesum'); t = g.track_inprogress(); t.__enter__()",
        {"running": 1},
    ),
    "Gauge.time": (
        "g = Gauge('lasted', '.', multiprocess_mode='sum')\nwith g.time(): pass\nassert g._value.get() > 0; g.set(2)",
        {"lasted": 2},
    ),
    "Gauge.set_function": ("Gauge('asked', '.', multiprocess_mode='max').set_function(lambda: 9)", {"asked": 9}),
    "Summary.observe": ("Summary('seen', '.').observe(4)", {"seen_count": 1, "seen_sum": 4}),
    "Summary.time": ("s = Summary('took', '.')\nwith s.time(): pass", {"took_count": 1}),
    "Histogram.observe": (
        "Histogram('size', '.').observe(0.3)",
        {'size_bucket{le="0.25"}': 0, 'size_bucket{le="0.5"}': 1, "size_sum": 0.3},
    ),
    "Histogram.time": (
        "h = Histogram('wait', '.')\n@h.time()\ndef wait(): pass\nwait()",
        {"wait_count": 1, 'wait_bucket{le="+Inf"}': 1},
    ),
    "Histogram.DEFAULT_BUCKETS": (
        "Histogram('own', '.', buckets=Histogram.DEFAULT_BUCKETS[:1]).observe(1)",
        {'own_bucket{le="0.005"}': 0, "own_count": 1},
    ),
    "Info.info": ("Info('build', '.').info({'version': '1'})", {'build_info{version="1"}': 1}),
    "Enum.state": (
        "Enum('mode', '.', states=['on', 'off']).state('off')",
        {'mode{mode="on"}': 0, 'mode{mode="off"}': 1},
    ),
    "*.labels": ("Counter('jobs', '.', ['queue']).labels(queue='a').inc()", {'jobs_total{queue="a"}': 1}),
    "*.remove": (
        "c = Counter('left', '.', ['q']); c.labels('a').inc(); c.labels('b').inc(); c.remove('a')",
        {'left_total{q="b"}': 1},
    ),
    "*.remove_by_labels": (
        (
            "c = Counter('kept', '.', ['q', 'r']); c.labels('a', 'x').inc(); c.labels('b', 'x').inc()\n"
            "if hasattr(c, 'remove_by_labels'): c.remove_by_labels({'q': 'a'})\nelse: c.remove('a', 'x')"
        ),
        {'kept_total{q="b",r="x"}': 1},
    ),
    "*.clear": (
        "c = Counter('cleared', '.', ['q']); c.labels('a').inc(); c.clear(); c.labels('b').inc()",
        {'cleared_total{q="b"}': 1},
    ),
    "namespace=": ("Counter('n', '.', namespace='shop').inc()", {"shop_n_total": 1}),
    "subsystem=": ("Counter('n', '.', namespace='shop', subsystem='api').inc()", {"shop_api_n_total": 1}),
    "unit=": ("Counter('waited', '.', unit='seconds').inc()", {"waited_seconds_total": 1}),
    "labelnames=": ("Counter('named', '.', labelnames=['a']).labels('b').inc()", {'named_total{a="b"}': 1}),
    "buckets=": ("Histogram('few', '.', buckets=[1]).observe(2)", {'few_bucket{le="1.0"}': 0, "few_count": 1}),
    "states=": ("Enum('light', '.', states=['red']).state('red')", {'light{light="red"}': 1}),
    "multiprocess_mode=": ("Gauge('most', '.', multiprocess_mode='max').set(8)", {"most": 8}),
    "registry=": (
        "Counter('private', '.', registry=None).inc(); Counter('given', '.', registry=own).inc()",
        {"given_total": 1},
    ),
    "CollectorRegistry.register": (
        "c = Counter('moved', '.', registry=None); c.inc(); own.register(c); c.inc()",
        {"moved_total": 2},
    ),
    "CollectorRegistry.unregister": (
        (
            "c = Counter('gone', '.'); c.inc(); REGISTRY.unregister(c); c.inc()\n"
            "stock = Stock(); own.register(stock); own.unregister(stock)"
        ),
        {"gone_total": 2},
    ),
    "CollectorRegistry.set_target_info": ("own.set_target_info({'env': 'test'})", {'target_info{env="test"}': 1}),
    "a class with `collect()`": ("REGISTRY.register(Shelf())", {"stock_level": 7}),
}
PROGRAM = """
import asyncio, json, time
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary
from lib.kairo_metrics import Settings, metrics_app
from lib.kairo_metrics.delivery.process_pipeline import current_pipeline, published_registries
from lib.kairo_metrics.exposition.negotiate import PLAIN
from lib.kairo_metrics.scrape.state_reader import StateReader
from lib.kairo_metrics.testing import MemoryStore
from tests.support.collectors import Stock

class Shelf(Stock): pass

settings = Settings(enabled=True)
own = CollectorRegistry()
metrics_app(settings=settings, store=MemoryStore(settings), registry=own)
for code in EXAMPLES:
    exec(code)

async def page():
    pipeline = current_pipeline()
    reader = StateReader(pipeline.store, settings, pipeline.flusher.aflush, published_registries)
    found, _ = await reader.read_page(time.perf_counter(), 30.0)
    return b"".join(PLAIN.render(found)).decode()

print(json.dumps(asyncio.run(page())))
"""


@pytest.fixture(scope="module")
def samples() -> dict[str, float]:
    """Give the samples of the page after all examples ran in one program."""
    code = PROGRAM.replace("EXAMPLES", repr([code for code, _ in EXAMPLES.values()]))
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    lines = [line.rpartition(" ") for line in json.loads(ran.stdout).splitlines() if line[0] != "#"]
    return {series: float(value) for series, _, value in lines}


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_works_is_on_the_page(name: str, samples: dict[str, float]) -> None:
    """What the example counts is what the page shows."""
    expected = EXAMPLES[name][1]
    assert {series: samples.get(series) for series in expected} == expected


def test_what_is_removed_or_private_is_not_on_the_page(samples: dict[str, float]) -> None:
    """The page has neither the removed series of the examples nor the private metric."""
    gone = {'left_total{q="a"}', 'kept_total{q="a",r="x"}', 'cleared_total{q="a"}', "private_total"}
    assert gone.isdisjoint(samples)


def test_every_method_and_argument_that_works_has_an_example() -> None:
    """So a row of the table can't say more than is tried."""
    working = {name for name, answer in DOCUMENTED.items() if answer == "works" and re.search(r"[.=]", name)}
    assert sorted(working - EXAMPLES.keys()) == []
