"""Check of the replica that pages are read from, if METRICS_READ_URL names one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...config.settings import Settings
from ...errors import StoreError
from ...store.command_flow import Command
from ...store.keys import Keys
from ...store.redis_store import RedisStore
from ...store.replica import check_replica
from ...store.server_info import read_info
from .finding import Finding, fail, ok, warn
from .redis_advice import advice_on_reply
from .time_limit import within

__all__ = ["check_read_url"]

_INFO: Command = ("INFO", "replication")
_CUT_OFF = (
    "look at the replica's log, and at the network between the two; unset METRICS_READ_URL to read from the master"
)


def check_read_url(settings: Settings, limit_s: float) -> Iterator[Finding]:
    """Check the server that METRICS_READ_URL names; no finding if it is not set.

    Args:
        settings: both addresses.
        limit_s: seconds that the check may take.
    """
    if settings.read_url is None:
        return
    store = RedisStore(settings.changed(flush_budget_ms=min(60_000, max(1, int(limit_s * 1000)))))
    try:
        yield within(limit_s, _check, store, settings)
    except (StoreError, TimeoutError) as err:
        reason = str(err) or f"it did not answer within {limit_s:g} s"
        wrong = "correct METRICS_READ_URL, or unset it: pages then come from REDIS_URL"
        yield fail("replica", reason, (advice_on_reply(reason) or wrong).replace("in REDIS_URL", "in METRICS_READ_URL"))


def _check(store: RedisStore, settings: Settings) -> Finding:
    probe = Keys(settings.namespace, 0).probe
    commands: list[Command] = [("TIME",), ("INFO", "server"), ("HGETALL", probe), ("HSCAN", probe, "0"), _INFO]
    with store.sync_client(reading=True) as client:
        replies = client.call(*commands)
        if client.is_cluster:
            return warn(
                "replica",
                "METRICS_READ_URL is a cluster, whose replicas redirect to their masters",
                "unset it: it takes no load off the masters",
            )
        client.close()
    for command, reply in zip(commands, replies, strict=True):
        if isinstance(reply, StoreError):
            right = f"+{str(command[0]).lower()}"
            return fail("replica", str(reply), f"allow it on the replica, which has users of its own: {right}")
    try:
        check_replica(replies[-1])
    except StoreError as err:
        return fail("replica", str(err), _CUT_OFF)
    return _compared(read_info(replies[-1]), read_info(_ask_master(store)))


def _ask_master(store: RedisStore) -> Any:
    with store.sync_client() as client:
        [reply] = client.call(_INFO)
        client.close()
        return reply


def _compared(read: dict[str, str], written: dict[str, str]) -> Finding:
    if {"master_replid"} <= read.keys() & written.keys() and read["master_replid"] != written["master_replid"]:
        return fail(
            "replica",
            "METRICS_READ_URL follows another server than the one that REDIS_URL names",
            "correct one of the two: else pages do not show what is counted",
        )
    if read.get("role") == "master":
        return ok("replica", "METRICS_READ_URL leads to the server that is written to")
    silent = read.get("master_last_io_seconds_ago", "?")
    return ok("replica", f"METRICS_READ_URL follows its master, last heard of {silent} s ago")
