"""One run of all real receivers: they scrape functions that are used, series are born, and others are pushed."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary

from lib.kairo_metrics import NativeHistogram
from lib.kairo_metrics.dev.private_redis import private_redis
from lib.kairo_metrics.store.redis_store import RedisStore
from tests.support.dashboard import QUERIES, filled
from tests.support.dev_server import DevServer, dev_server
from tests.support.instance import settings
from tests.support.lab_project import lab_project
from tests.support.page_server import page_server
from tests.support.ports import free_port
from tests.support.program import Program
from tests.support.prometheus_server import PrometheusServer
from tests.support.push_lab import Pushed, push_to
from tests.support.receivers import AGENT, RECEIVERS, Receiver, job_at

_TOKEN = "a-token-of-sixteen-characters"
# Two scrapes and a bit: they are two seconds apart.
_ZERO_S = 5
_RULES = """
groups:
  - name: errors
    interval: 500ms
    rules: [{alert: RareError, expr: "increase(rare_errors_total[1m]) > 0"}]
"""
# What Prometheus 3 can be told to ask for.
PROTOBUF, OPENMETRICS, TEXT_1, TEXT_0 = (
    "PrometheusProto",
    "OpenMetricsText1.0.0",
    "PrometheusText1.0.0",
    "PrometheusText0.0.4",
)
PAGES = [f"functions, {protocol}" for protocol in (PROTOBUF, OPENMETRICS, TEXT_1, TEXT_0)]
ASKED = [*PAGES, f"zero, {OPENMETRICS}", f"zero, {TEXT_0}", f"created, {OPENMETRICS}"]
OLD, VICTORIA = "Prometheus 2.42", "VictoriaMetrics 1.145"
MIDDLE, NEW = "Prometheus 2.53", "Prometheus 3.5"
# What was counted before the first scrape.
BORN = {
    "born_total": 5,
    "rare_errors_total": 1,
    'wait_bucket{le="2.0"}': 2,
    'wait_bucket{le="+Inf"}': 3,
    "wait_count": 3,
    "wait_sum": 5,
    "size_count": 1,
    "size_sum": 7,
}
# Label values that a parser may stumble over.
AWKWARD = ('say "hi"', "back\\slash", "two\nlines", "🙂", "\r\t\x01\x7f", '{a="b"} 1', "", "é" * 300)
_SENT = {"/api/content": 8, "/api/flaky": 4}
_FIRST = {"/api/content": 2, "/api/flaky": 1}


@dataclass
class Seen:
    """What a receiver has stored.

    Args:
        samples: job -> name and labels of a sample -> value.
        created: job -> how many `_created` series it has.
        increases: job -> name of a sample -> what `increase` says of its whole life, at the time of its last sample.
        counts: job -> the number of samples in a scrape.
        native: job -> of the native histogram the count, the sum, and the increase of the count.
        traces: job -> the traces in its exemplars.
        answered: the guide's queries -> the jobs that they have a result for.
        drawn: the queries of the dashboard that have a result; NaN stands for none, and VictoriaMetrics has no NaN.
        firing: the jobs whose alert on one rare error fires.
        problems: the errors of scrapes.
        pushed: what it has of pushes, by their protocol.
    """

    samples: dict[str, dict[str, float]] = field(default_factory=dict)
    increases: dict[str, dict[str, float]] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)
    native: dict[str, tuple[float, float, float | None]] = field(default_factory=dict)
    traces: dict[str, set[str]] = field(default_factory=dict)
    answered: dict[str, set[str]] = field(default_factory=dict)
    drawn: set[str] = field(default_factory=set)
    firing: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    created: dict[str, float] = field(default_factory=dict)
    pushed: dict[str, Pushed] = field(default_factory=dict)


def _jobs_of(receiver: Receiver, functions: DevServer, port: int) -> list[dict[str, Any]]:
    """Return what a receiver scrapes: the functions' own page, and pages of the same Redis with other settings."""
    jobs = [
        job_at(functions.port, "functions", functions.token),
        job_at(port, "zero", _TOKEN, metrics_path="/zero"),
        job_at(port, "created", _TOKEN, metrics_path="/created"),
    ]
    if receiver.name == VICTORIA:
        return [*jobs, job_at(functions.port, AGENT, functions.token)]
    if receiver.name != NEW:
        return jobs
    asked = [
        {**job, "job_name": f"{job['job_name']}, {protocol}", "scrape_protocols": [protocol]}
        for job in jobs
        for protocol in (PROTOBUF, OPENMETRICS, TEXT_1, TEXT_0)
    ]
    return [job for job in asked if job["job_name"] in ASKED]


def run_receivers(folder: Path, queries: Sequence[str]) -> dict[str, Seen]:
    """Run all receivers at once, and return what each of them has stored, by its name.

    Args:
        folder: for their data.
        queries: PromQL over the functions' metrics.
    """
    pages: dict[str, dict[str, Any]] = {"/zero": {"new_series_zero_s": _ZERO_S}, "/created": {"created_samples": True}}
    (folder / "rules.yml").write_text(_RULES)
    with ExitStack() as stack:
        for name in RECEIVERS:
            (folder / name).mkdir()
        redis_url = stack.enter_context(private_redis(free_port()))
        environment = {"DATABASE_URL": f"sqlite:///{folder / 'cms.sqlite3'}", "REDIS_URL": redis_url}
        functions = stack.enter_context(dev_server(lab_project(folder / "project"), environment))
        port = stack.enter_context(page_server(redis_url, _TOKEN, pages))
        running = {
            name: stack.enter_context(
                receiver.start(
                    folder / name,
                    _jobs_of(receiver, functions, port),
                    [] if name == VICTORIA else [folder / "rules.yml"],
                )
            )
            for name, receiver in RECEIVERS.items()
        }
        _use(functions, redis_url, running)
        seen = {name: _look(name, server, queries) for name, server in running.items()}
        for name, server in running.items():
            for protocol in RECEIVERS[name].protocols:
                native = (name, protocol) == (NEW, "remote-write")
                seen[name].pushed[protocol] = push_to(server, protocol, native=native, victoria=name == VICTORIA)
        return seen


def _use(functions: DevServer, redis_url: str, running: dict[str, PrometheusServer]) -> None:
    def send(counts: dict[str, int]) -> None:
        with httpx.Client(base_url=functions.url, headers={"X-Tenant": "acme"}) as client:
            for path, count in counts.items():
                for _ in range(count):
                    client.get(path)

    def all_have(query: str, value: float) -> None:
        for server in running.values():
            server.wait_for(partial(_has, server, f"count({query} == {value}) == scalar(count(up))"))

    send(_FIRST)
    all_have("sum by (job) (http_requests_total)", sum(_FIRST.values()))
    store = RedisStore(settings(redis_url))
    program = Program(store, settings(redis_url), "one")
    with program.running():
        _count(program.registry)
    program.flush()
    send(_SENT)
    all_have("sum by (job) (http_requests_total)", sum(_FIRST.values()) + sum(_SENT.values()))
    all_have("born_total", 5)
    # Two scrapes later: `rate` needs two values, and an alert an evaluation.
    all_have("(count_over_time(born_total[1m]) >= bool 3)", 1)


def _count(registry: CollectorRegistry) -> None:
    """Count with each kind of instrument: what was counted before the first scrape is what most scrapers miss."""
    trace = {"trace_id": "4bf92f35"}
    Counter("born", "Born at 5.", ["kind"], registry=registry).labels("refund").inc(5, trace)
    Counter("rare_errors", "One.", registry=registry).inc()
    wait = Histogram("wait", "Wait.", buckets=(1, 2), registry=registry)
    for seconds in (0.5, 1.5, 3):
        wait.observe(seconds, trace)
    Summary("size", "Size.", registry=registry).observe(7)
    fine = NativeHistogram("fine", "Fine.", registry=registry)
    for amount in (0.5, 1.5, 3):
        fine.observe(amount)
    names = Counter("names", "Awkward names.", ["name"], registry=registry)
    for value in AWKWARD:
        names.labels(value).inc()
    Gauge("load", "Load.", multiprocess_mode="sum", registry=registry).set(9)
    Counter("größe.mails", "Mails.", ["to.whom"], registry=registry).labels("b").inc(2)


def _look(name: str, server: PrometheusServer, queries: Sequence[str]) -> Seen:
    with suppress(AssertionError):  # a busy machine may be late once; a page that is refused stays so
        server.wait_for(lambda: not _problems(server), 10)
    seen = Seen(problems=_problems(server))
    seen.answered = {query: _jobs_in(server, query) for query in queries}
    seen.drawn = {name for name, expr in QUERIES.items() if _has_number(server, filled(expr))}
    seen.created = {
        row["metric"]["job"]: float(row["value"][1])
        for row in server.query('count by (job) ({__name__=~".+_created"})')
    }
    for row in server.query('{__name__=~"born.*|wait.*|size.*|fine.*|names.*|load|gr.*"}'):
        labels = {label: value for label, value in row["metric"].items() if label not in {"instance", "job"}}
        if "value" in row:  # a native histogram has none
            seen.samples.setdefault(row["metric"]["job"], {})[_title(labels)] = float(row["value"][1])
    at_s = {row["metric"]["job"]: float(row["value"][1]) for row in server.query("timestamp(born_total)")}
    seen.counts = {row["metric"]["job"]: float(row["value"][1]) for row in server.query("scrape_samples_scraped")}
    for one in BORN:
        for job, found_at_s in at_s.items():
            for row in server.query(f"increase({_with_job(one, job)}[1m])", found_at_s):
                seen.increases.setdefault(job, {})[one] = float(row["value"][1])
    if name == VICTORIA:
        return seen
    for row in server.query("histogram_count(fine)"):
        job = row["metric"]["job"]
        total = server.value(f'histogram_sum(fine{{job="{job}"}})') or math.nan
        increase = server.value(f'histogram_count(increase(fine{{job="{job}"}}[1m]))', at_s[job])
        seen.native[job] = float(row["value"][1]), total, increase
    asked = {"query": "wait_bucket", "start": "0", "end": "9999999999"}
    for series in httpx.get(f"{server.url}/api/v1/query_exemplars", params=asked).json()["data"]:
        traces = {exemplar["labels"]["trace_id"] for exemplar in series["exemplars"]}
        seen.traces.setdefault(series["seriesLabels"]["job"], set()).update(traces)
    seen.firing = {row["metric"]["job"] for row in server.query('ALERTS{alertname="RareError",alertstate="firing"}')}
    return seen


def _problems(server: PrometheusServer) -> list[str]:
    return [target["lastError"] for target in server.targets() if target["lastError"]]


def _jobs_in(server: PrometheusServer, query: str) -> set[str]:
    """Return the jobs that a query has a result for; one that adds up all labels is asked for each job."""
    jobs = {row["metric"]["job"] for row in server.query("up")}
    selector = re.compile(r"(_total|_bucket)(?:{([^}]*)})?")
    return {job for job in jobs if server.query(selector.sub(rf'\1{{job="{job}",\2}}', query))}


def _has_number(server: PrometheusServer, query: str) -> bool:
    return any("value" not in row or row["value"][1] != "NaN" for row in server.query(query))


def _has(server: PrometheusServer, query: str) -> bool:
    return bool(server.query(query))


def _with_job(sample: str, job: str) -> str:
    name, brace, labels = sample.partition("{")
    return f'{name}{{job="{job}",{labels}' if brace else f'{name}{{job="{job}"}}'


def _title(labels: dict[str, str]) -> str:
    name = labels.pop("__name__")
    inner = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{name}{{{inner}}}" if inner else name
