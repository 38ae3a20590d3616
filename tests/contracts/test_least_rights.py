"""The users of docs/redis.md on a real Redis: everything works with exactly their rights, and needs each of them."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import redis
from prometheus_client import Counter, Gauge

from lib.kairo_metrics import Settings, install, metrics_app, push_app
from lib.kairo_metrics.config.push_settings import PushSettings
from lib.kairo_metrics.delivery import process_pipeline
from lib.kairo_metrics.instruments.recorder import RECORDER
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.store.keys import Keys
from lib.kairo_metrics.store.redis_store import RedisStore
from tests.support.adopted import adopted_registry
from tests.support.command_run import Command
from tests.support.dev_server import REPOSITORY
from tests.support.doctor_run import Doctor, healthy
from tests.support.instance import settings
from tests.support.redis_users import RULES
from tests.support.write_receiver import write_receiver

RIGHTS = [rule for rule in RULES["kairo"] if rule.startswith("+")]
NAMESPACE = "production"
Login = Callable[..., str]


@pytest.fixture
def login(redis_url: str, redis_client: redis.Redis) -> Iterator[Login]:
    """Give a function that creates a user as documented, and returns the address with its login."""

    def make(user: str, *, without: str = "", keys: str = "") -> str:
        rules = [keys if keys and rule.startswith("~") else rule for rule in RULES[user] if rule != without]
        redis_client.execute_command("ACL", "SETUSER", user, *rules)  # type: ignore[no-untyped-call]
        return redis_url.replace("//", f"//{user}:PASSWORD@")

    yield make
    for user in RULES:
        redis_client.acl_deluser(user)


@pytest.fixture
def own_pipeline() -> Iterator[None]:
    """Let the test open the process's pipeline with its own settings."""
    for _ in range(2):
        RECORDER.forget()
        RECORDER.followers.clear()
        process_pipeline.close_pipeline()
        if _ == 0:
            yield


async def answer(app: Any, path: str) -> httpx.Response:
    """Send a request to one of the endpoints."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cms.example.org") as client:
        return await client.get(path, headers={"Authorization": "Bearer t"})


def chosen(url: str) -> Settings:
    """Give the settings of a deployment in that namespace."""
    return settings(url, namespace=NAMESPACE, auth_tokens=("t",), instance_lease_s=60)


async def test_with_these_rights_everything_works(login: Login, redis_client: redis.Redis, own_pipeline: None) -> None:
    """Flushes from the event loop and from a thread, removals, the page, folds, a push and the health check."""
    del own_pipeline
    limited = chosen(login("kairo"))
    store = RedisStore(limited)
    app = metrics_app(settings=limited, store=store)
    registry = adopted_registry()
    jobs = Counter("jobs", "Jobs.", ["queue"], registry=registry)
    peak = Gauge("peak", "Peak.", multiprocess_mode="max", registry=registry)
    install(registry)
    opened = process_pipeline.open_pipeline(limited, store)
    assert opened is not None
    for flush in (opened.flusher.aflush, lambda: asyncio.to_thread(opened.flusher.flush)):
        jobs.labels("a").inc()
        jobs.labels("gone").inc()
        peak.set(3)
        await flush()
    jobs.remove("gone")
    jobs.clear()
    jobs.labels("b").inc(2)
    [key] = redis_client.keys(f"kairo:v1:{{{NAMESPACE}/*:series:peak:*")
    long_ago = b"%013d" % (time.time() * 1000 - 600_000)
    redis_client.hset(key, 'instance_id="ended"', b"9 1764000000000 %b %b" % (long_ago, long_ago))
    index, gone = Keys(NAMESPACE, 0).families, Schema("gone", "counter")
    redis_client.hset(index, gone.index_field, f"1764000000000 1764000000000 {gone.metadata()}")
    page = await answer(app, "/api/metrics")
    assert page.status_code == 200
    assert not redis_client.hexists(index, gone.index_field), "the page removed what is old"
    assert 'jobs_total{queue="b"} 2\n' in page.text
    assert 'queue="a"' not in page.text
    assert "\npeak 9\n" in page.text
    assert set(redis_client.hkeys(key)) > {b'instance_id="__ended__"'}
    assert 'version="unknown"' not in page.text
    with write_receiver() as receiver:
        pushes = PushSettings(url=receiver.url, cron_secret="t")
        pushed = await answer(push_app(settings=limited, store=store, push_settings=pushes), "/api/push")
    assert pushed.status_code == 200, pushed.text
    await store.ping()
    await store.aclose()


def test_scripts_run_no_other_commands() -> None:
    """The documented rights include every command that a script calls, also the rare ones."""
    scripts = (REPOSITORY / "lib/kairo_metrics/store/lua").glob("*.lua")
    sent = {
        command
        for script in scripts
        for command in re.findall(r"(?:call\(|^  \{ )'([A-Z]+)'", script.read_text(), re.MULTILINE)
    }
    assert sent > {"HSET", "SET"}
    assert {f"+{command.lower()}" for command in sent} <= set(RIGHTS)


def test_the_commands_work_with_these_rights(login: Login, command: Command, redis_client: redis.Redis) -> None:
    """`series` and `show` read with the first user, and `wipe` deletes with the second."""
    fill(login("kairo"))
    reading = {"REDIS_URL": login("kairo"), "METRICS_NAMESPACE": NAMESPACE}
    assert "jobs" in command("series", **reading).out
    assert command("show", "jobs_total", **reading).code == 0
    wiping = {"REDIS_URL": login("kairo-wipe"), "METRICS_NAMESPACE": NAMESPACE}
    for arguments in (("--family", "jobs"), ()):
        output = command("wipe", "--yes", *arguments, **wiping)
        assert (output.code, output.err) == (0, "")
    left: list[bytes] = redis_client.keys("*series*")  # type: ignore[assignment]
    assert left == []


@pytest.mark.parametrize("right", [rule for rule in RULES["kairo-wipe"] if rule.startswith("+")])
def test_wipe_needs_each_of_its_rights(login: Login, command: Command, right: str) -> None:
    """Without one of them it fails and names the refused command, or shows no progress."""
    fill(login("kairo"))
    wiping = {"REDIS_URL": login("kairo-wipe", without=right), "METRICS_NAMESPACE": NAMESPACE}
    output = command("wipe", "--yes", "--family", "jobs", **wiping)
    if right == "+dbsize":  # only the progress needs it
        assert output.code == 0
    else:
        assert output.code == 1
        assert right.removeprefix("+") in output.err


def fill(url: str) -> None:
    """Let an instance deliver a counter."""
    from tests.support.instance import redis_instance

    instance = redis_instance(url, namespace=NAMESPACE)
    instance.add('queue="a"')
    instance.flusher.flush()
    asyncio.run(instance.close())


def test_doctor_needs_no_more(login: Login, doctor: Doctor) -> None:
    """With exactly these rights doctor finds no fault, and skips no check."""
    url = login("kairo")
    fill(url)
    report = doctor(**healthy(url, METRICS_NAMESPACE=NAMESPACE))
    assert {check: mark for check, (mark, *_) in report.checks.items() if mark != "ok"} == {}


@pytest.mark.parametrize("right", RIGHTS)
def test_doctor_names_each_right_that_is_missing(login: Login, doctor: Doctor, right: str) -> None:
    """For each right that is left out, doctor names it and says how to grant it."""
    report = doctor(**healthy(login("kairo", without=right), METRICS_NAMESPACE=NAMESPACE))
    assert report.failed <= {"redis", "rights", "families", "clock"}
    advice = [
        advice for check, (mark, _, advice) in report.checks.items() if mark == "fail" and check in {"redis", "rights"}
    ]
    assert len(advice) == 1
    assert advice[0].endswith(right)


def test_doctor_names_keys_that_are_missing(login: Login, doctor: Doctor) -> None:
    """For a user of another namespace, doctor names the missing keys."""
    report = doctor(**healthy(login("kairo", keys="~kairo:v1:{preview/*"), METRICS_NAMESPACE=NAMESPACE))
    assert report.checks["rights"][2] == f"let the user reach the keys: ACL SETUSER kairo {RULES['kairo'][3]}"


def test_another_namespace_is_out_of_reach(login: Login, redis_client: redis.Redis) -> None:
    """The user of one deployment cannot read or write the metrics of another one."""
    other = Keys("preview", 0).families
    redis_client.hset(other, "theirs", "1")
    with redis.Redis.from_url(login("kairo")) as limited, pytest.raises(redis.exceptions.NoPermissionError):
        limited.hgetall(other)
