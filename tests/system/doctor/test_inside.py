"""`doctor` in the environment of the deployment: settings, tokens and stored data, each with a real fault."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from lib.kairo_metrics.endpoints.token_sources import SecretsManager
from lib.kairo_metrics.model.delivery_metrics import LOST, OVERFLOWED
from lib.kairo_metrics.model.encoding import label_text
from lib.kairo_metrics.model.schema import Schema
from tests.support.doctor_run import TOKEN, Doctor, filled, healthy
from tests.support.instance import JOBS, Start, writing_to


async def test_a_healthy_deployment_passes_every_check(start: Start, redis_url: str, doctor: Doctor) -> None:
    """Without a fault every line is ok, and the exit code is 0."""
    await filled(start, redis_url)
    report = doctor(**healthy(redis_url))
    assert {mark for mark, _, _ in report.checks.values()} == {"ok"}
    assert report.code == 0
    assert "jobs" not in report.text("quarantine")


def test_every_bad_variable_is_named_at_once(doctor: Doctor) -> None:
    """All malformed variables are listed, not only the first; the exit code is 2, and no secret is shown."""
    wrong = {"METRICS_SHARDS": "many", "REDIS_URL": "https://hush", "METRICS_SERIES_TTL": "1.5"}
    wrong |= {"METRICS_AUTH_TOKEN": "hush,", "METRICS_REMOTE_WRITE_URL": "hush", "METRICS_REMOTE_WRITE_USERNAME": "me"}
    report = doctor(**wrong)
    assert report.code == 2
    for variable in (*wrong.keys() - {"METRICS_REMOTE_WRITE_USERNAME"}, "METRICS_REMOTE_WRITE_PASSWORD"):
        assert f"correct {variable}" in report.printed
    assert "hush" not in report.printed


def test_two_places_for_the_token_are_found(doctor: Doctor) -> None:
    """Two variables that are valid alone, but not together, are reported."""
    report = doctor(METRICS_AUTH_TOKEN=TOKEN, METRICS_AUTH_TOKEN_SECRET_ID="kairo")
    assert report.code == 2
    assert "both set" in report.text("settings")


def test_the_time_of_new_series_is_told(doctor: Doctor, redis_url: str) -> None:
    """With METRICS_NEW_SERIES_ZERO_S, the settings say for how long a new series is at 0, and how often to scrape."""
    assert "new series" not in doctor(**healthy(redis_url)).text("settings")
    told = doctor(**healthy(redis_url), METRICS_NEW_SERIES_ZERO_S="90").text("settings")
    assert "the page shows a new series at 0 for 90 s, so scrape more often than that" in told


def test_an_empty_environment_gets_all_that_is_missing(doctor: Doctor) -> None:
    """Without any variable, one run reports the switch, the token and Redis."""
    report = doctor()
    assert report.failed == {"switch", "token", "redis"}
    assert report.code == 1
    assert "ENABLE_METRICS=true" in report.text("switch")
    assert "and set METRICS_AUTH_TOKEN, as a whole line" in report.text("token")
    assert "connect a Redis: the Vercel marketplace sets REDIS_URL" in report.text("redis")
    assert report.mark("latency") == report.mark("families") == "skipped"


@pytest.mark.parametrize(
    ("token", "mark", "expected"),
    [
        (TOKEN, "ok", "one token"),
        (f"{TOKEN},{TOKEN[::-1]}", "ok", "2 tokens"),
        ("short", "warn", "make one with `openssl rand -hex 32`"),
        ("password-password-password-password", "warn", "make one with `openssl rand -hex 32`"),
        ("a" * 64, "warn", "easy to guess"),
        (f"{TOKEN} {TOKEN}", "warn", "look for two lines pasted as one"),
        (f"{TOKEN},{TOKEN}", "warn", "remove one of them"),
        (f"{TOKEN},{TOKEN[::-1]},{TOKEN[1:]}x", "warn", "end the rotation"),
        (f"{TOKEN}\n{TOKEN}", "fail", ", and paste it as one line"),
        (f"{TOKEN}é", "fail", ", and paste it as one line"),
    ],
)
def test_a_weak_token_is_found(doctor: Doctor, token: str, mark: str, expected: str) -> None:
    """Short, guessable, repeated and malformed tokens get different findings, and no token is shown."""
    report = doctor(ENABLE_METRICS="true", METRICS_AUTH_TOKEN=token)
    assert report.mark("token") == mark
    assert expected in report.text("token")
    assert token not in report.printed
    assert TOKEN not in report.printed


def test_a_token_in_aws_is_read(doctor: Doctor, vault: Any) -> None:
    """The secret is read as the endpoint reads it, and its strength is checked; it is not shown."""
    vault.create_secret(Name="kairo", SecretString=TOKEN)
    report = doctor(ENABLE_METRICS="true", METRICS_AUTH_TOKEN_SECRET_ID="kairo")
    assert report.mark("token-source") == report.mark("token") == "ok"
    assert TOKEN not in report.printed
    report = doctor(ENABLE_METRICS="true", METRICS_AUTH_TOKEN_SECRET_ID="kairos")
    assert report.mark("token-source") == "fail"
    assert "ResourceNotFoundException" in report.text("token-source")
    assert ", or let this role read it" in report.text("token-source")


def test_a_refusing_aws_is_quoted(doctor: Doctor, refusing_aws: str) -> None:
    """A missing permission is reported in the words of AWS."""
    report = doctor(ENABLE_METRICS="true", METRICS_AUTH_TOKEN_PARAMETER="/kairo")
    assert report.mark("token-source") == "fail"
    assert refusing_aws in report.text("token-source")


def test_an_unexpected_error_of_aws_is_a_failed_check(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report goes on to the next check, and names the error without its message, which may hold the token."""

    def fail(_: SecretsManager) -> tuple[str, ...]:
        raise KeyError(TOKEN)

    monkeypatch.setattr(SecretsManager, "read", fail)
    report = doctor(ENABLE_METRICS="true", METRICS_AUTH_TOKEN_SECRET_ID="kairo")
    assert report.mark("token-source") == "fail"
    assert "KeyError" in report.text("token-source")
    assert "correct METRICS_AUTH_TOKEN_SECRET_ID" in report.text("token-source")
    assert TOKEN not in report.printed
    assert "redis" in report.checks


def test_a_silent_aws_is_told(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """An AWS that does not answer is a matter of the network."""

    def wait(_: SecretsManager) -> tuple[str, ...]:
        raise TimeoutError

    monkeypatch.setattr(SecretsManager, "read", wait)
    report = doctor(ENABLE_METRICS="true", METRICS_AUTH_TOKEN_SECRET_ID="kairo")
    assert "let this network reach AWS" in report.text("token-source")


def test_a_namespace_without_metrics_is_a_warning(doctor: Doctor, redis_url: str) -> None:
    """An empty store is a warning with the namespace, because a new deployment has no metrics."""
    report = doctor(**healthy(redis_url, VERCEL_ENV="preview"))
    assert report.warned == {"families"}
    assert "'preview'" in report.text("families")
    assert "send a few requests; then compare" in report.text("families")


async def test_damage_is_found(start: Start, redis_url: str, redis_client: redis.Redis, doctor: Doctor) -> None:
    """A damaged field, a foreign key and a damaged index entry are counted by family."""
    await filled(start, redis_url)
    [key] = redis_client.keys("*:series:jobs:*")
    redis_client.hset(key, 'queue="b"', "junk")
    [key] = redis_client.keys("*:series:kairo_batches:*")
    redis_client.delete(key)
    redis_client.set(key, "mine")
    redis_client.hset(redis_client.keys("*:families")[0], "junk", "junk")
    report = doctor(**healthy(redis_url))
    assert report.warned == {"quarantine"}
    for damage in ("jobs 1", "kairo_batches 1", "families index 1"):
        assert damage in report.text("quarantine")
    assert "whatever else writes there should not" in report.text("quarantine")


async def test_damage_is_added_up_by_name(redis_url: str, redis_client: redis.Redis, doctor: Doctor) -> None:
    """A family with two schemas in two shards is one name, with the damage of all four hashes."""
    for shard in (0, 1):
        instance = writing_to(shard, 2, redis_url)
        instance.add('queue="a"')
        instance.add("", schema=JOBS.changed(labelnames=()))
        await instance.flusher.aflush()
        await instance.close()
    keys = redis_client.keys("*:series:jobs:*")
    assert len(keys) == 4
    for number, key in enumerate(keys, start=1):
        for field in range(number):
            redis_client.hset(key, f'queue="{field}"', "junk")
    report = doctor(**healthy(redis_url, METRICS_SHARDS="2"))
    assert report.warned == {"quarantine"}
    assert "jobs 10" in report.text("quarantine")


@pytest.mark.parametrize(("counter", "check"), [(LOST, "lost"), (OVERFLOWED, "series")])
async def test_names_are_told_as_they_are(
    start: Start, redis_url: str, doctor: Doctor, counter: Schema, check: str
) -> None:
    """Label texts escape quotes, backslashes and line breaks; what is told of a family has its name as declared."""
    for number, name in enumerate(['a"b', r"a\nb", "a\nb", "größe"], start=1):
        instance = start(redis_url, namespace=f"names-{number}")
        instance.add(label_text(("family",), (name,)), 3, schema=counter)
        await instance.flusher.aflush()
        report = doctor(**healthy(redis_url, METRICS_NAMESPACE=f"names-{number}"))
        assert report.warned == {check}
        assert f": {name} 3" in report.text(check)


async def test_a_family_near_its_cap_is_found(start: Start, redis_url: str, doctor: Doctor) -> None:
    """More than 80% of METRICS_MAX_SERIES is a warning, and so is an overflow."""
    await filled(start, redis_url, count=8)
    report = doctor(**healthy(redis_url, METRICS_MAX_SERIES="10"))
    assert report.warned == {"series"}
    assert "jobs 8" in report.text("series")
    assert "for the label that grows; then fix it" in report.text("series")
    await filled(start, redis_url, count=12, max_series=10)
    report = doctor(**healthy(redis_url, METRICS_MAX_SERIES="10"))
    assert "__overflow__ instead: jobs" in report.text("series")


async def test_lost_samples_are_found(start: Start, redis_url: str, doctor: Doctor) -> None:
    """Samples that could not be delivered are reported by family."""
    instance = start(redis_url)
    instance.add('family="jobs"', 3, schema=LOST)
    await instance.flusher.aflush()
    report = doctor(**healthy(redis_url))
    assert report.warned == {"lost"}
    assert "jobs 3" in report.text("lost")
    assert "metrics could not be flushed" in report.text("lost")


def test_a_state_that_can_not_be_read_is_a_failure(doctor: Doctor, redis_url: str, redis_client: redis.Redis) -> None:
    """A damaged index is a failure, as in a scrape."""
    redis_client.set("kairo:v1:{development/0}:families", "mine")
    report = doctor(**healthy(redis_url))
    assert report.failed == {"families"}
    assert "WRONGTYPE" in report.text("families")
    assert "a scrape would fail as well" in report.text("families")
