"""The time of requests during every kind of Redis outage, with and without metrics, in turn.

On Vercel the response is sent before the flush, so the client's time is measured. On Lambda it is sent after the flush.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from benchmarks.timing import percentile
from lib.kairo_metrics.dev.private_redis import private_redis
from tests.deployment.platform.lambda_requests import ask, read, variables
from tests.deployment.platform.lambda_runtime import LambdaFunction, lambda_function
from tests.support.dev_server import dev_server
from tests.support.proxy import Proxy

__all__ = ["bench_outages"]

_SECONDS = 15.0  # more than three attempts of an open breaker
_PAUSE_S = 0.002
_SLOW_MS = 1_000
_FLAP_S = 0.7
# A request that takes longer has waited for the store; the machine alone is not that slow.
_WAITED_S = 0.5


@contextmanager
def _fine(_proxy: Proxy) -> Iterator[None]:
    yield


@contextmanager
def _black_hole(proxy: Proxy) -> Iterator[None]:
    proxy.black_hole = True
    yield
    proxy.black_hole = False
    proxy.cut()


@contextmanager
def _packets_dropped(proxy: Proxy) -> Iterator[None]:
    proxy.deafen()
    proxy.cut()
    yield
    proxy.listen()


@contextmanager
def _refusing(proxy: Proxy) -> Iterator[None]:
    proxy.refuse()
    proxy.cut()
    yield
    proxy.listen()


@contextmanager
def _slow(proxy: Proxy) -> Iterator[None]:
    proxy.reply_delay_ms = _SLOW_MS
    yield
    proxy.reply_delay_ms = 0


@contextmanager
def _flapping(proxy: Proxy) -> Iterator[None]:
    over = threading.Event()

    def flap() -> None:
        while not over.wait(_FLAP_S):
            proxy.refuse()
            proxy.cut()
            over.wait(_FLAP_S)
            proxy.listen()

    flapper = threading.Thread(target=flap)
    flapper.start()
    yield
    over.set()
    flapper.join()
    proxy.listen()


_OUTAGES = {
    "fine": _fine,
    "black hole": _black_hole,
    "packets dropped": _packets_dropped,
    "refusing": _refusing,
    f"slow, {_SLOW_MS / 1000:.0f} s": _slow,
    f"flapping, {_FLAP_S} s": _flapping,
}


def bench_outages(url: str) -> None:
    """Measure requests as on Vercel and as on Lambda."""
    print("GET /api/content as on Vercel, by the state of Redis; added: the time that metrics add")
    _head("waited")
    with Proxy(url) as proxy, ExitStack() as stack:
        environment = {"REDIS_URL": proxy.url, "METRICS_AUTH_TOKEN": "bench"}
        watched = stack.enter_context(dev_server(env=environment))
        plain = stack.enter_context(dev_server(env={**environment, "ENABLE_METRICS": "false"}))
        client = stack.enter_context(httpx.Client(headers={"X-Tenant": "acme"}, timeout=60))
        for name, outage in _OUTAGES.items():
            with outage(proxy):
                _row(name, *_in_turn(lambda: _get(client, plain.url), lambda: _get(client, watched.url)))
    print("\nGET /api/content/{slug} on Lambda: the response is sent after the flush, at most 1,000 ms later")
    _head("waited")
    with Proxy(url) as proxy, ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        environment = variables(proxy.url, folder)
        watched_function = stack.enter_context(lambda_function("api.content.handler", environment))
        without = {**environment, "ENABLE_METRICS": "false"}
        plain_function = stack.enter_context(lambda_function("api.content.handler", without))
        for name, outage in _OUTAGES.items():
            with outage(proxy):
                _row(name, *_in_turn(lambda: _invoke(plain_function), lambda: _invoke(watched_function)))


def _get(client: httpx.Client, base: str) -> None:
    client.get(f"{base}/api/content").raise_for_status()


def _invoke(function: LambdaFunction) -> None:
    ask(function, read())


def _in_turn(plain: Callable[[], None], watched: Callable[[], None]) -> tuple[list[float], list[float]]:
    """Call both functions in turn, after one call each to warm up, and return the seconds of every call."""
    plain()
    watched()
    seconds: tuple[list[float], list[float]] = ([], [])
    ends_s = time.perf_counter() + _SECONDS
    while time.perf_counter() < ends_s:
        for call, durations in zip((plain, watched), seconds, strict=True):
            began_s = time.perf_counter()
            call()
            durations.append(time.perf_counter() - began_s)
            time.sleep(_PAUSE_S)
    return seconds


def _head(last: str) -> None:
    print(f"  {'Redis':<18}{'p50 off':>10}{'p50 on':>10}{'p99 off':>10}{'p99 on':>10}{'added p99':>11}{last:>14}")


def _row(name: str, plain: list[float], watched: list[float]) -> None:
    found = [percentile(durations, share) for share in (0.5, 0.99) for durations in (plain, watched)]
    columns = "".join(f"{seconds * 1e3:>7.2f} ms" for seconds in found)
    waited = sum(seconds > _WAITED_S for seconds in watched)
    print(f"  {name:<18}{columns}{(found[3] - found[2]) * 1e3:>+8.2f} ms{waited:>6} of {len(watched):>4}")


if __name__ == "__main__":
    with private_redis() as redis_url:
        bench_outages(redis_url)
