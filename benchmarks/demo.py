"""`make demo`: lifelike traffic for the dev server, so that its dashboard shows something.

Several tenants read, write, publish and delete entries, ask for missing ones, and send invalid ones. There are bursts
of requests. At times another program locks the database: first briefly, so that queries are slow, then for so long that
writes fail.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import shlex
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx

from lib.kairo_metrics import SettingsError
from lib.kairo_metrics.config.dev_run import find_dev_run
from lib.kairo_metrics.config.dev_settings import DevSettings

__all__ = ["main"]

TENANTS = ("acme", "globex", "initech", "umbrella", "hooli")
WORDS = ("spring", "release", "notes", "team", "roadmap", "pricing", "launch", "story", "guide", "update")
_CALM_PER_S = 14.0
_BURST_PER_S = 45.0
# Within each period of 30 seconds: when the burst begins and ends, and when the database is locked -> for how long.
# A write fails after waiting for five seconds, so writes early in the longest lock fail.
_PERIOD_S = 30.0
_BURST_S = (11.0, 16.0)
_LOCKED_S = {4.0: 0.45, 12.0: 0.8, 20.0: 7.5}
_ATTEMPTS = 20
_MAX_RUNNING = 40
_TIMEOUT_S = 15.0
_BAR = 28
_LAST_PORT = 65_535


def main() -> int:
    """Send traffic to the dev server, and return the exit code."""
    options = _parser().parse_args()
    try:
        return asyncio.run(_Demo(options.url, options.seconds).run())
    except KeyboardInterrupt:
        print()
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make demo", description="Lifelike traffic for the dev server.")
    parser.add_argument(
        "--url",
        type=_address,
        default=_default_url(parser),
        help="the dev server (default: at PORT, else the one that runs here)",
    )
    parser.add_argument("--seconds", type=_seconds, default=90.0, help="how long (default: 90)")
    return parser


def _default_url(parser: argparse.ArgumentParser) -> str:
    running = None if os.environ.get("PORT") else find_dev_run(Path())
    if running:
        return running.url
    try:
        return f"http://127.0.0.1:{DevSettings.from_env({'PORT': os.environ.get('PORT', '')}).port}"
    except SettingsError as err:
        parser.error(str(err))


def _address(text: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as err:
        raise argparse.ArgumentTypeError(f"is not an address: {err}") from err
    if url.scheme not in {"http", "https"} or not url.host or (url.port or 0) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"must be like http://127.0.0.1:3000, not {text!r}")
    return text.rstrip("/")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 1 <= seconds <= 3600:  # noqa: PLR2004 (an hour is enough for any demonstration)
        raise argparse.ArgumentTypeError(f"must be from 1 to 3600 seconds, not {text!r}")
    return seconds


class _Demo:
    """One run.

    Args:
        url: the address of the dev server.
        seconds: the duration of the run.
    """

    def __init__(self, url: str, seconds: float) -> None:
        self._url = url
        self._seconds = seconds
        self._answers: Counter[str] = Counter()
        self._slugs: dict[str, list[str]] = {tenant: [] for tenant in TENANTS}
        self._chance = random.Random()

    async def run(self) -> int:
        limits = httpx.Limits(max_connections=_MAX_RUNNING)
        async with httpx.AsyncClient(base_url=self._url, timeout=_TIMEOUT_S, limits=limits) as client:
            try:
                (await client.get("/api/health")).raise_for_status()
            except httpx.HTTPError:
                print(f"No dev server answers at {self._url}: run `make run` in another terminal first.")
                return 1
            print(f"Sending traffic for {self._seconds:.0f} s. Watch it at {self._url}/dashboard")
            await self._send_all(client)
        self._report()
        if (running := find_dev_run(Path())) and running.url == self._url and "METRICS_AUTH_TOKEN" in running.variables:
            token = running.variables["METRICS_AUTH_TOKEN"].partition(",")[0]
            print(f"The page: curl -H {shlex.quote(f'Authorization: Bearer {token}')} {self._url}/api/metrics")
        return 0

    async def _send_all(self, client: httpx.AsyncClient) -> None:
        started_s = time.monotonic()
        running: set[asyncio.Task[None]] = set()
        locking = asyncio.create_task(self._lock_database(started_s))
        try:
            async for now_s in self._moments(started_s):
                if len(running) < _MAX_RUNNING:
                    task = asyncio.create_task(self._send_one(client))
                    running.add(task)
                    task.add_done_callback(running.discard)
                _show(now_s / self._seconds, self._answers)
            if running:
                await asyncio.wait(running)
        finally:
            locking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await locking
        _show(1.0, self._answers, last=True)

    async def _moments(self, started_s: float) -> AsyncIterator[float]:
        """Yield the times of the requests, at random distances, in seconds from the start."""
        while (now_s := time.monotonic() - started_s) < self._seconds:
            yield now_s
            burst = _BURST_S[0] <= now_s % _PERIOD_S < _BURST_S[1]
            await asyncio.sleep(self._chance.expovariate(_BURST_PER_S if burst else _CALM_PER_S))

    async def _send_one(self, client: httpx.AsyncClient) -> None:
        tenant = self._chance.choices(TENANTS, (8, 5, 3, 2, 1))[0]
        try:
            answer = await client.send(self._request(client, tenant))
        except httpx.HTTPError as err:
            self._answers[type(err).__name__] += 1
            return
        self._answers[f"{answer.status_code // 100}xx"] += 1
        if answer.status_code == httpx.codes.CREATED:
            self._slugs[tenant].append(answer.json()["slug"])

    def _request(self, client: httpx.AsyncClient, tenant: str) -> httpx.Request:
        """Choose the next request of a tenant: mostly a read, sometimes an invalid request."""
        known, headers = self._slugs[tenant], {"X-Tenant": tenant}
        slug = self._chance.choice(known) if known else "welcome"
        entry = {
            "title": " ".join(self._chance.sample(WORDS, 3)).title(),
            "body": "Lorem ipsum. " * self._chance.randrange(400),
        }
        new = {"slug": f"{'-'.join(self._chance.sample(WORDS, 2))}-{self._chance.randrange(10**6)}", **entry}
        content = "/api/content"
        kinds = {
            "read": (40, "GET", f"{content}/{slug}", None),
            "list": (18, "GET", f"{content}?limit={self._chance.choice((5, 20, 100))}", None),
            "create": (14, "POST", content, new),
            "replace": (9, "PUT", f"{content}/{slug}", entry),
            "publish": (6, "POST", f"{content}/{slug}/publish", None),
            "missing": (5, "GET", f"{content}/no-such-entry-{self._chance.randrange(99)}", None),
            "duplicate": (2, "POST", content, {"slug": slug, **entry}),
            "refused": (2, "POST", content, {"slug": "Not A Slug!", "title": ""}),
            "unknown path": (1, "GET", f"/api/content/{slug}/comments", None),
            "slow": (2, "POST", content, new),
            "delete": (2, "DELETE", f"{content}/{slug}", None),
        }
        kind = self._chance.choices(list(kinds), [weight for weight, *_ in kinds.values()])[0]
        _, method, path, document = kinds[kind]
        if kind == "delete" and slug in known:
            known.remove(slug)
        if kind == "slow":
            # A client with a slow connection: the request lasts until the whole body has arrived.
            body = json.dumps(document).encode()
            return client.build_request(
                method, path, headers=headers, content=_trickled(body, self._chance.uniform(0.3, 1.6))
            )
        return client.build_request(method, path, headers=headers, json=document)

    async def _lock_database(self, started_s: float) -> None:
        """Act as the other program: take SQLite's write lock at certain times of every period."""
        period = 0
        while True:
            for at_s, locked_s in _LOCKED_S.items():
                await asyncio.sleep(max(0, started_s + period * _PERIOD_S + at_s - time.monotonic()))
                database = _database_of(self._url)
                if database is None:  # DATABASE_URL is set, and that database is not touched
                    return
                await _hold_lock(database, locked_s)
            period += 1

    def _report(self) -> None:
        total = sum(self._answers.values())
        print(f"{total} requests: " + ", ".join(f"{count} {kind}" for kind, count in sorted(self._answers.items())))


async def _trickled(body: bytes, seconds: float, pieces: int = 6) -> AsyncIterator[bytes]:
    size = len(body) // pieces + 1
    for start in range(0, len(body), size):
        await asyncio.sleep(seconds / pieces)
        yield body[start : start + size]


async def _hold_lock(database: Path, seconds: float) -> None:
    """Hold the write lock for some seconds; try again while a request holds it."""
    for _ in range(_ATTEMPTS):
        try:
            with _locked(database):
                await asyncio.sleep(seconds)
        except sqlite3.Error:
            await asyncio.sleep(0.05)
        else:
            return


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold the write lock of a SQLite file while the block runs, without changing the file."""
    with contextlib.closing(sqlite3.connect(file, timeout=0.2, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


def _database_of(url: str) -> Path | None:
    """Return the SQLite file of the dev server on the port in `url`, or None if it uses another database."""
    port = httpx.URL(url).port or 80
    files = Path(tempfile.gettempdir()).glob(f"kairo-data-{port}-*/content.sqlite3")
    return max(files, key=lambda file: file.stat().st_mtime, default=None)


def _show(share: float, answers: Counter[str], *, last: bool = False) -> None:
    """Draw the progress bar; if the output is not a terminal, only its end."""
    if not (sys.stdout.isatty() or last):
        return
    filled = round(min(1.0, share) * _BAR)
    counts = "  ".join(f"{kind} {count}" for kind, count in sorted(answers.items()))
    bar = f"[{'█' * filled}{'░' * (_BAR - filled)}] {min(1.0, share):4.0%}  {counts}"
    sys.stdout.write(f"\r\x1b[K{bar}" if sys.stdout.isatty() else bar)
    sys.stdout.write("\n" if last else "")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
