"""Checks of the page: whether Prometheus accepts it, and what its metrics show of the system."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from email.utils import parsedate_to_datetime

from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from ...instruments.declarations import DECLARATIONS
from ...instruments.presets import PRESETS
from ...instruments.request_instruments import RequestInstruments
from ...model.delivery_metrics import OWN_PREFIX
from .access_checks import SCRAPE_TIMEOUT_S, Pages
from .clash_check import check_clashes
from .finding import Finding, fail, ok, skipped, warn
from .http_client import Answer

__all__ = ["check_page"]

_CHECKS = (
    *("content-type", "page", "text", "openmetrics", "gzip", "cache", "requests", "quarantine", "clashes"),
    *("series", "lost", "eviction", "memory", "duration", "size", "clock"),
)
_TEXT, _OPENMETRICS = "text/plain", "application/openmetrics-text"
_NEARLY_FULL = 0.8
_SHOWN = 3
_LARGE_BYTES = 10_000_000
_SKEW_S = 5.0
_DATE_RESOLUTION_S = 1.0


def check_page(pages: Pages) -> Iterator[Finding]:
    """Check the page.

    Args:
        pages: the page as `check_access` fetched it; empty if it could not.
    """
    if pages.scraped is None or pages.text is None:
        yield from (skipped(check, "there is no page to check") for check in _CHECKS)
        return
    yield _content_type(pages.scraped)
    metrics, finding = _parsed(text_string_to_metric_families, pages.text)
    yield _page(pages.text, metrics)
    yield finding("text")
    yield _openmetrics(pages.scraped)
    yield _gzip(pages.scraped)
    yield _cache(pages.scraped)
    yield from _content(metrics)
    yield _duration(pages.scraped)
    yield _size(pages.scraped)
    yield _clock(pages.scraped)


def _kind(answer: Answer) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


def _content_type(answer: Answer) -> Finding:
    value = answer.headers.get("content-type", "")
    if _kind(answer) in {_TEXT, _OPENMETRICS} and "version=" in value:
        return ok("content-type", value)
    return fail(
        "content-type",
        f"{value!r} is no format of Prometheus" if value else "there is none",
        "Prometheus 3 refuses it: look for a proxy or a header rule that changes it",
    )


def _parsed(
    parse: Callable[[str], Iterable[Metric]], answer: Answer
) -> tuple[Sequence[Metric], Callable[[str], Finding]]:
    """Return the families, and a function that returns the finding for the check of this name."""
    try:
        families = list(parse(answer.body.decode()))
    except Exception as err:  # noqa: BLE001  a malformed page can make the parsers raise any error
        reason = str(err).partition("\n")[0] or type(err).__name__
        return (), lambda check: fail(
            check,
            f"it can't be parsed: {reason}",
            "if this is the metrics endpoint, it is a bug: report it with the page",
        )
    samples = sum(len(family.samples) for family in families)
    return families, lambda check: ok(check, f"{len(families)} families with {samples} samples")


def _page(answer: Answer, metrics: Sequence[Metric]) -> Finding:
    if answer.is_html:
        return fail("page", "it is a page of HTML", "this is another app: correct the path")
    if not answer.body.strip():
        return fail("page", "it is empty", "look for a proxy that answers instead: the metrics page is never empty")
    if not any(family.name.startswith(OWN_PREFIX) for family in metrics):
        return warn("page", "it is not from Kairo Metrics", "correct the path, if it should be")
    return ok("page", "metrics, and not empty")


def _openmetrics(answer: Answer) -> Finding:
    if _kind(answer) != _OPENMETRICS:
        return skipped("openmetrics", "it is not offered")
    _, finding = _parsed(openmetrics.text_string_to_metric_families, answer)
    return finding("openmetrics")


def _gzip(answer: Answer) -> Finding:
    if answer.headers.get("content-encoding") != "gzip":
        return warn("gzip", "the page comes uncompressed", "look for a proxy that unpacks it: it costs traffic")
    if not answer.body:
        return fail("gzip", "it can't be unpacked", "look for a proxy that packs it twice, or cuts it off")
    return ok("gzip", f"{len(answer.raw)} bytes instead of {len(answer.body)}")


def _cache(answer: Answer) -> Finding:
    kept = answer.headers.get("x-vercel-cache", "").upper() in {"HIT", "STALE"} or answer.headers.get("age", "0") != "0"
    if kept:
        return fail("cache", "this is a copy that a cache kept", "take the path out of the cache")
    value = answer.headers.get("cache-control", "")
    if "no-store" not in value:
        advice = "look for a header rule that replaces `private, no-store`"
        return warn("cache", f"Cache-Control is {value!r}" if value else "there is no Cache-Control", advice)
    return ok("cache", value)


def _content(metrics: Sequence[Metric]) -> Iterator[Finding]:
    """Check what the metrics on the page show of the system."""
    if not metrics:
        unread = ("requests", "quarantine", "clashes", "series", "lost", "eviction", "memory")
        yield from (skipped(check, "the page can't be read") for check in unread)
        return
    requests = _requests(metrics)
    if requests:
        counts = ", ".join(f"{name} counts {count:g} requests" for name, count in sorted(requests.items()))
        yield ok("requests", counts)
    else:
        yield warn(
            "requests",
            "http_requests_total is not there",
            "send a request to an instrumented function; then compare METRICS_NAMESPACE of both functions",
        )
    yield _counted(
        "quarantine", _values(metrics, "kairo_quarantined_fields", "family"), "something in Redis is damaged"
    )
    yield check_clashes(
        (sample.labels.get("family", ""), sample.labels.get("other", ""), sample.labels.get("reason", "type"))
        for family in metrics
        for sample in family.samples
        if sample.name == "kairo_clashing_schemas" and sample.value
    )
    yield _counted(
        "series", _values(metrics, "kairo_samples_overflowed_total", "family"), "a family is past METRICS_MAX_SERIES"
    )
    yield _counted("lost", _values(metrics, "kairo_samples_lost_total", "family"), "samples were lost")
    policies = _values(metrics, "kairo_store_info", "eviction_policy")
    if not policies or "unknown" in policies:
        yield skipped("eviction", "the server does not show its eviction policy", "ask your provider")
    elif set(policies) == {"noeviction"}:
        yield ok("eviction", "noeviction: nothing is dropped")
    else:
        advice = "run `doctor` where REDIS_URL is set: it shows whether that matters"
        yield warn("eviction", f"{', '.join(policies)}: metrics may be dropped", advice)

    yield _memory(metrics)


def _requests(metrics: Sequence[Metric]) -> dict[str, float]:
    """Sum the requests by the name that they are counted under: an app may give it a prefix, or another library's."""
    sums: dict[str, float] = {}
    counters = _request_counters()
    for family in metrics:
        for sample in family.samples:
            if any(sample.name.endswith(name) and labels <= set(sample.labels) for name, labels in counters):
                sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    return sums


def _request_counters() -> list[tuple[str, set[str]]]:
    """Return the name and the labels of what counts requests, for our names and for those of each other library."""
    declared = [DECLARATIONS, *(preset().declarations for preset in PRESETS.values())]
    first = [next(one for one in groups[RequestInstruments] if one.counts == "requests") for groups in declared]
    return [(one.name, set(one.labelnames)) for one in first]


def _memory(metrics: Sequence[Metric]) -> Finding:
    used = sum(_values(metrics, "kairo_store_memory_bytes", "").values())
    limit = sum(_values(metrics, "kairo_store_max_memory_bytes", "").values())
    if not used:
        return skipped("memory", "the server does not show how full it is", "ask your provider")
    if limit and used >= _NEARLY_FULL * limit:
        return warn("memory", f"{used / limit:.0%} of Redis' memory is used", "give Redis more memory, or see `series`")
    return ok("memory", f"{used / limit:.0%} of Redis' memory is used" if limit else "Redis has no limit")


def _counted(check: str, amounts: dict[str, float], what: str) -> Finding:
    found = {family: amount for family, amount in amounts.items() if amount}
    if not found:
        return ok(check, "none")
    listed = ", ".join(f"{family or 'unnamed'} {amount:g}" for family, amount in sorted(found.items())[:_SHOWN])
    return warn(check, f"{what}: {listed}", "run `doctor` where REDIS_URL is set: it shows more")


def _values(metrics: Sequence[Metric], name: str, label: str) -> dict[str, float]:
    """Sum a sample's values by one of its labels."""
    sums: dict[str, float] = {}
    for family in metrics:
        for sample in family.samples:
            if sample.name == name:
                key = sample.labels.get(label, "")
                sums[key] = sums.get(key, 0.0) + sample.value
    return sums


def _duration(answer: Answer) -> Finding:
    found = f"{answer.took_s:.2f} s"
    if answer.took_s >= SCRAPE_TIMEOUT_S:
        return fail(
            "duration",
            f"{found}: more than the {SCRAPE_TIMEOUT_S} s that Prometheus waits",
            "raise scrape_timeout, or look with `series` for what makes the page large",
        )
    if answer.took_s >= SCRAPE_TIMEOUT_S / 2:
        return warn("duration", found, "half of the time that Prometheus waits: look at `size` and at Redis' latency")
    return ok("duration", f"{found}, of {SCRAPE_TIMEOUT_S} s that Prometheus waits")


def _size(answer: Answer) -> Finding:
    found = f"{len(answer.body)} bytes"
    if len(answer.body) > _LARGE_BYTES:
        return warn("size", found, "`series` shows which families are large")
    return ok("size", found)


def _clock(answer: Answer) -> Finding:
    try:
        date_s = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except ValueError:
        return skipped("clock", "the answer has no Date")
    # Some servers send the time of the request, others that of the answer. The clocks agree if Date is between the two.
    asked_at_s = answer.received_at_s - answer.took_s
    skew_s = max(0.0, date_s - answer.received_at_s) + min(0.0, date_s + _DATE_RESOLUTION_S - asked_at_s)
    if abs(skew_s) < _SKEW_S:
        return ok("clock", "the server's clock and this machine's agree")
    ahead = "ahead of" if skew_s > 0 else "behind"
    return warn("clock", f"the server is {abs(skew_s):.0f} s {ahead} this machine", "set this machine's clock by NTP")
