"""Checks of the Redis in the settings: whether it answers, how fast, its memory, the rights of the login."""

from __future__ import annotations

import asyncio
import ipaddress
import math
import re
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from urllib.parse import unquote, urlsplit

from ...config.redis_url import without_password
from ...config.settings import Settings
from ...errors import StoreError, StoreRefused, StoreUnavailable
from ...store.admin.inspection import Refusal, ServerFacts, ping, probe_rights, read_clock_ms, read_facts
from ...store.command_flow import CommandFlow, run_flow
from ...store.redis_store import RedisStore
from .finding import Finding, fail, ok, skipped, warn
from .redis_advice import advice_on_reply, how_to_reach
from .time_limit import T, within

__all__ = ["check_server"]

_PINGS = 9
_PINGING_S = 2.0  # with a slow server fewer pings are enough
_SLOW_MS = 50.0
# Since 5.0 a script may read the time and then write; since 4.0 HSET accepts several fields.
_NEEDED, _TESTED = (5, 0), (6, 2)
_NEARLY_FULL, _FULL = 0.8, 0.99
_SKEW_S = 5.0
_MIB = 1024 * 1024
_AFTER_REDIS = ("latency", "version", "eviction", "memory", "rights", "clock")


def check_server(settings: Settings, limit_s: float) -> Iterator[Finding]:
    """Check the server. If it does not answer, the other checks are skipped.

    Args:
        settings: the address and the namespace.
        limit_s: seconds that each check may take.
    """
    with closing(_Server(settings, limit_s)) as server:
        try:
            server.ask(ping())
        except StoreError as err:
            yield fail("redis", str(err), how_to_reach(settings, str(err)))
            yield from (skipped(check, "Redis does not answer") for check in _AFTER_REDIS)
        else:
            yield _reached(settings)
            yield from _examine(server)


def _examine(server: _Server) -> Iterator[Finding]:
    for check, look in {
        "latency": server.latency,
        "version": server.version,
        "eviction": server.eviction,
        "memory": server.memory,
        "rights": server.rights,
        "clock": server.clock,
    }.items():
        try:
            yield look()
        except StoreRefused as err:
            yield skipped(check, str(err))
        except StoreError as err:
            lost = "Redis answered a moment ago: look at its log and at the network"
            yield fail(check, str(err), advice_on_reply(str(err)) or lost)


class _Server:
    """A connection to the server, and what it has answered."""

    def __init__(self, settings: Settings, limit_s: float) -> None:
        self._settings = settings
        self._limit_s = limit_s
        # The flush budget may be too short to measure how slow a server is.
        self._store = RedisStore(settings.changed(flush_budget_ms=min(60_000, max(1, int(limit_s * 1000)))))
        self._facts: list[ServerFacts] = []

    def ask(self, steps: CommandFlow[T]) -> T:
        """Run a flow within the time limit.

        Raises:
            StoreError: there was no answer, or a refusal.
        """

        def work() -> T:
            with self._store.sync_client() as client:
                return run_flow(steps, client)

        return self._within(work)

    def ask_each(self, steps: Callable[[], CommandFlow[T]]) -> list[T]:
        """Run the flow with each master of a cluster, or with the one server."""

        def work() -> list[T]:
            with self._store.sync_client() as client:
                return [run_flow(steps(), part) for part in client.nodes()]

        return self._within(work)

    def _within(self, work: Callable[[], T]) -> T:
        try:
            return within(self._limit_s, work)
        except TimeoutError as err:
            raise StoreUnavailable(f"there was no answer within {self._limit_s:g} s") from err

    def close(self) -> None:
        """Close the connection."""
        with suppress(TimeoutError):
            within(self._limit_s, lambda: asyncio.run(self._store.aclose()))

    def latency(self) -> Finding:
        budget_ms = self._settings.flush_budget_ms
        took_ms: list[float] = []
        while len(took_ms) < _PINGS and sum(took_ms) < _PINGING_S * 1000:
            started_s = time.perf_counter()
            self.ask(ping())
            took_ms.append((time.perf_counter() - started_s) * 1000)
        median_ms = statistics.median(took_ms)
        found = f"{median_ms:.1f} ms from this machine, the median of {len(took_ms)}"
        if median_ms >= budget_ms:
            return fail(
                "latency",
                f"{found}: more than METRICS_FLUSH_BUDGET_MS={budget_ms}",
                "no flush from here can succeed: put Redis into the functions' region, or raise the budget",
            )
        if median_ms >= _SLOW_MS:
            return warn("latency", found, "put Redis into the functions' region; if that is not this one, it may be so")
        return ok("latency", found)

    def version(self) -> Finding:
        oldest = min(self._facts_once(), key=lambda facts: facts.version_numbers or (0, 0))
        version, numbers = oldest.version, oldest.version_numbers
        if numbers is None:
            return skipped("version", "the server does not show its version")
        if numbers < _NEEDED:
            return fail("version", f"Redis {version} can't run the script", "use Redis 6.2 or newer, or Valkey")
        if numbers < _TESTED:
            return warn("version", f"Redis {version} is older than what is tested", "use Redis 6.2 or newer, or Valkey")
        return ok("version", f"Redis {version}")

    def eviction(self) -> Finding:
        worst = max(
            self._facts_once(), key=lambda facts: (facts.eviction_policy != "noeviction", facts.limit_bytes or 0)
        )
        policy, limit = worst.eviction_policy, worst.limit_bytes
        if policy is None:
            return skipped("eviction", "the server does not show its eviction policy", "ask your provider")
        if policy == "noeviction":
            return ok("eviction", "noeviction: nothing is dropped")
        if limit == 0:
            return ok("eviction", f"{policy}, but without a maxmemory nothing is dropped")
        return warn(
            "eviction",
            f"{policy}: when memory is full, metrics are dropped, and counters start again",
            "set maxmemory-policy to noeviction, or use a separate Redis for the metrics"
            if policy.startswith("allkeys")
            else "set maxmemory-policy to noeviction: it drops keys with a time to live first, as ours are",
        )

    def memory(self) -> Finding:
        fullest = max(self._facts_once(), key=lambda facts: (facts.used_bytes or 0) / (facts.limit_bytes or math.inf))
        used, limit = fullest.used_bytes, fullest.limit_bytes
        if used is None or limit is None:
            return skipped("memory", "the server does not show how full it is", "ask your provider")
        if not limit:
            return ok("memory", f"{used / _MIB:.1f} MiB used, no limit is set")
        found = f"{used / limit:.0%} of {limit / _MIB:.1f} MiB used"
        advice = "give Redis more memory, or wipe what is not needed: `series` shows which families are large"
        if used >= _FULL * limit:
            return fail("memory", found, advice)
        return warn("memory", found, advice) if used >= _NEARLY_FULL * limit else ok("memory", found)

    def rights(self) -> Finding:
        refusals = self.ask(probe_rights(self._settings.namespace, range(self._settings.shards)))
        if not refusals:
            return ok("rights", "every command that flushes and scrapes send is allowed")
        if missing := [refusal for refusal in refusals if refusal.of_permission]:
            return fail("rights", _refusal_text(missing), _how_to_allow(self._settings, missing))
        advice = advice_on_reply(refusals[0].reason) or "the login has the right: look at the server"
        return fail("rights", _refusal_text(refusals), advice)

    def clock(self) -> Finding:
        before_s = time.time()
        clocks_ms = self.ask_each(read_clock_ms)
        middle_s = (before_s + time.time()) / 2
        skew_s = max((clock_ms / 1000 - middle_s for clock_ms in clocks_ms), key=abs)
        if abs(skew_s) < _SKEW_S:
            return ok("clock", f"Redis and this machine differ by {abs(skew_s):.1f} s")
        ahead = "ahead of" if skew_s > 0 else "behind"
        return warn(
            "clock",
            f"Redis is {abs(skew_s):.0f} s {ahead} this machine",
            "set both by NTP: series are dated by Redis, and compared with Prometheus' clock",
        )

    def _facts_once(self) -> list[ServerFacts]:
        if not self._facts:
            self._facts = self.ask_each(read_facts)
        return self._facts


def _reached(settings: Settings) -> Finding:
    url = settings.redis_url or ""
    found = f"{without_password(url)} answers"
    if url.startswith("redis://") and _is_public(urlsplit(url).hostname or ""):
        return warn(
            "redis", f"{found}, without TLS", "use rediss://: the password and all metrics travel in clear text"
        )
    if not url.startswith("rediss://"):
        return ok("redis", found)
    return ok("redis", f"{found}, over TLS{'' if settings.redis_tls_verify else ', with its certificate unchecked'}")


def _is_public(host: str) -> bool:
    """Tell whether the connection to a host may go through public networks."""
    try:
        return not ipaddress.ip_address(host).is_private
    except ValueError:
        return "." in host and not host.endswith((".internal", ".local"))


def _refusal_text(refusals: tuple[Refusal, ...] | list[Refusal]) -> str:
    commands = ", ".join(refusal.command for refusal in refusals)
    return f"not allowed: {commands}. Redis says: {refusals[0].reason}"


def _how_to_allow(settings: Settings, missing: list[Refusal]) -> str:
    user = unquote(urlsplit(settings.redis_url or "").username or "") or "default"
    # Since version 7 the message contains the command as well, which may be HKEYS.
    if all(re.search("access .*key", refusal.reason) for refusal in missing):
        return f"let the user reach the keys: ACL SETUSER {user} ~kairo:v1:{{{settings.namespace}/*"
    return f"allow them: ACL SETUSER {user} {' '.join(f'+{refusal.command.lower()}' for refusal in missing)}"
