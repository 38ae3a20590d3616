"""The store's content after one use of each kind of metric: `python -m tests.support.stored_state` prints it."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import redis
from prometheus_client import Counter, Enum, Gauge, Histogram, Info, Summary

from lib.kairo_metrics import NativeHistogram, Settings, flush, install
from lib.kairo_metrics.dev.private_redis import private_redis
from lib.kairo_metrics.store.redis_store import RedisStore
from tests.support.ports import free_port

__all__ = ["print_state"]


def print_state() -> None:
    """Use one metric of each kind in a private Redis, and print its keys, then the account of a rollback."""
    with private_redis(free_port()) as url, redis.Redis.from_url(url) as client:
        os.environ.update(ENABLE_METRICS="true", REDIS_URL=url, METRICS_SHARDS="2", METRICS_NAMESPACE="production")
        install()
        jobs = Counter("jobs", "Jobs done.", ["queue"]).labels("mail")
        jobs.inc(3, {"trace_id": "4bf9"})
        Gauge("load", "Load.").set(0.5)
        Gauge("busy", "Jobs in progress.", multiprocess_mode="sum").inc()
        Histogram("wait_seconds", "Seconds waited.", buckets=(0.1, 1)).observe(0.2)
        Summary("mail_bytes", "Bytes of a mail.").observe(100)
        NativeHistogram("upload_bytes", "Bytes of an upload.").observe(48_213)
        Info("build", "Build.").info({"version": "1.0"})
        Enum("phase", "Phase.", states=["up", "down"]).state("down")
        flush()
        asyncio.run(_scrape())
        keys = sorted(client.scan_iter())
        for key in keys:
            _print_key(client, key)
        older = {key: client.dump(key) for key in keys}
        jobs.inc()
        flush()
        for key, dump in older.items():
            client.restore(key, 0, dump, replace=True)
        jobs.inc()
        flush()
        [index] = [key for key in keys if key.endswith(b":families")]
        _print("  recovery", client.hget(index, "recovery"))


async def _scrape() -> None:
    store = RedisStore(Settings.from_env())
    await store.snapshot()
    await store.aclose()


def _print_key(client: Any, key: bytes) -> None:
    kind = client.type(key).decode()
    sys.stdout.write(f"{key.decode()}  ({kind}, {round(client.pttl(key) / 3_600_000)} h)\n")
    if kind == "string":
        _print("", client.get(key))
    else:
        for field, value in sorted(client.hgetall(key).items()):
            _print(f"  {field.decode() or '(no labels)'}", value)


def _print(name: str, value: Any) -> None:
    sys.stdout.write(f"{name}  {value.decode()}\n")


if __name__ == "__main__":
    print_state()
