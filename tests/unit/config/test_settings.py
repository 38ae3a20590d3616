"""Settings from the environment, and the errors for malformed variables."""

from __future__ import annotations

import re
from inspect import getdoc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.kairo_metrics import PushSettings, Settings, SettingsError


def test_an_empty_environment_is_off_and_safe() -> None:
    """Without any variable nothing is recorded, and no token is accepted."""
    settings = Settings.from_env({})
    assert settings == Settings()
    assert not settings.enabled
    assert settings.auth_tokens == ()


def test_every_variable_is_read() -> None:
    """Each documented variable has its effect."""
    settings = Settings.from_env(
        {
            "ENABLE_METRICS": " True\n",
            "METRICS_AUTH_TOKEN": "new, old\n",
            "REDIS_URL": "rediss://:p@redis.example.org:6380/2",
            "METRICS_READ_URL": "redis://replica.example.org",
            "METRICS_NAMESPACE": "blue",
            "VERCEL_ENV": "production",
            "METRICS_SHARDS": "4",
            "METRICS_MAX_SERIES": "50",
            "METRICS_SERIES_TTL": "3600",
            "METRICS_FLUSH_BUDGET_MS": "250",
            "METRICS_SCRAPE_TIMEOUT_MS": "5000",
        }
    )
    assert settings == Settings(
        enabled=True,
        auth_tokens=("new", "old"),
        redis_url="rediss://:p@redis.example.org:6380/2",
        read_url="redis://replica.example.org",
        namespace="blue",
        shards=4,
        max_series=50,
        series_ttl_s=3600,
        flush_budget_ms=250,
        scrape_timeout_ms=5000,
    )


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({"KV_URL": "redis://kv", "REDIS_TLS_URL": "rediss://tls"}, "redis://kv"),
        ({"REDIS_TLS_URL": "rediss://tls"}, "rediss://tls"),
        ({"REDIS_URL": "", "KV_URL": "redis://kv"}, "redis://kv"),
    ],
)
def test_the_marketplace_names_of_the_redis_url_work(variables: dict[str, str], url: str) -> None:
    """The address is found under each name that hosts use."""
    assert Settings.from_env(variables).redis_url == url


@pytest.mark.parametrize(("variable", "namespace"), [("METRICS_NAMESPACE", "x"), ("VERCEL_ENV", "preview")])
def test_deployments_are_kept_apart(variable: str, namespace: str) -> None:
    """Preview deployments do not count into production."""
    assert Settings.from_env({variable: namespace}).namespace == namespace


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ENABLE_METRICS", "maybe"),
        ("METRICS_AUTH_TOKEN", "secret,"),
        ("METRICS_AUTH_TOKEN", ","),
        ("REDIS_URL", "https://secret.example.org"),
        ("KV_URL", "redis://:secret@host:port"),
        ("REDIS_URL", "redis://:secret@host/many"),
        ("REDIS_URL", "redis://:secret@host?db=many"),
        ("REDIS_URL", "redis://:secret@host/-1"),
        ("REDIS_URL", "redis://:secret@host/1_0"),
        ("REDIS_URL", "redis://:secret@host/٣"),
        ("REDIS_URL", "redis://:secret@host/2147483647"),
        ("REDIS_URL", "redis://:secret@host/99999999999999999999"),
        ("REDIS_URL", "redis://:secret@host?db=-1"),
        ("REDIS_URL", "unix:///run/redis.sock?db=-1"),
        ("REDIS_URL", "redis+sentinel://:secret@one/main/-1"),
        ("KV_URL", "redis://:secret@host/-1"),
        ("METRICS_READ_URL", "redis://:secret@host/-1"),
        ("REDIS_URL", "redis://:secret@host?max_connections=10"),
        ("REDIS_URL", "redis://:secret@host?protocol=4"),
        ("REDIS_URL", "redis://:secret@host?ssl_cert_reqs=none"),
        ("REDIS_URL", "rediss://:secret@host?ssl_cert_reqs=CERT_NONE"),
        ("REDIS_URL", "redis://:secret@one:7000,two:port"),
        ("REDIS_URL", "redis+sentinel://:secret@one,two"),
        ("REDIS_URL", "redis+sentinel://:secret@one/main/many"),
        ("REDIS_URL", "redis+sentinel://one/main?sentinel_passwort=secret"),
        ("REDIS_URL", "redis+sentinel://one/main?sentinel_password=my@secret"),
        ("REDIS_URL", "redis://one?sentinel_password=secret"),
        ("METRICS_READ_URL", "http://:secret@host"),
        ("METRICS_READ_URL", "redis://:secret@host:port"),
        ("METRICS_NAMESPACE", "a{b}"),
        ("METRICS_SHARDS", "0"),
        ("METRICS_SHARDS", "many"),
        ("METRICS_MAX_SERIES", "-1"),
        ("METRICS_SERIES_TTL", "1.5"),
        ("METRICS_FLUSH_BUDGET_MS", "1e3"),
        ("METRICS_SCRAPE_TIMEOUT_MS", "٣"),
    ],
)
def test_a_bad_value_names_its_variable_and_shows_no_secret(variable: str, value: str) -> None:
    """A malformed variable stops the deployment with an error that names it and does not show a password."""
    with pytest.raises(SettingsError, match=variable) as caught:
        Settings.from_env({variable: value})
    assert caught.value.variable == variable
    assert "secret" not in str(caught.value)


def test_settings_with_the_same_values_are_equal() -> None:
    """A program may give the same settings twice, and may keep something for each of its settings."""
    settings = Settings(namespace="blue", shards=2)
    assert settings == Settings(namespace="blue", shards=2)
    assert hash(settings) == hash(Settings(namespace="blue", shards=2))
    assert settings not in {settings.changed(shards=3), "blue"}
    assert settings.changed(shards=3).namespace == "blue"
    with pytest.raises(SettingsError, match="METRICS_SHARDS"):
        settings.changed(shards=0)


def test_secrets_are_not_in_the_repr() -> None:
    """Settings can be logged."""
    shown = repr(Settings(auth_tokens=("hush",), redis_url="redis://:hush@host", read_url="redis://:hush@other"))
    assert "hush" not in shown


@pytest.mark.parametrize(
    "url",
    [
        "redis://host",
        "redis://user:p%40ss@host:6380/2",
        "redis://host?db=3",
        "redis://host?protocol=3",
        "redis://user:secret@one:7000,two,three:7002/0",
        "redis+sentinel://one,two:26380/main",
        "rediss+sentinel://user:p%2Cass@one/main/3?ssl_cert_reqs=none",
        "redis+sentinel://:secret@one/main?sentinel_username=kairo&sentinel_password=p%40ss",
        "rediss://host?ssl_cert_reqs=none&ssl_ca_certs=/etc/ca.pem",
        "unix:///tmp/redis.sock?db=1",
        "redis://host/2147483646",
        "redis://host/",
    ],
)
def test_the_usual_addresses_work(url: str) -> None:
    """Login, database, TLS options and sockets are accepted."""
    assert Settings(redis_url=url).redis_url == url


@pytest.mark.parametrize(
    "wrong",
    [
        {"auth_tokens": ("",)},
        {"auth_tokens": ("secret", " \n")},
        {"auth_tokens": "secret"},
        {"namespace": "a}b"},
        {"shards": 0},
        {"flush_budget_ms": -1},
        {"redis_url": "http://host"},
    ],
)
def test_settings_from_code_are_checked_as_well(wrong: dict[str, Any]) -> None:
    """An invalid argument is refused like a variable; an empty token is never accepted."""
    with pytest.raises(SettingsError):
        Settings(**wrong)


DOCUMENTED = f"{getdoc(Settings)}\n{getdoc(PushSettings)}"
PREFIXES = ["", "redis://", "rediss://:p@h/", "redis+sentinel://h/m/", "https://", "unix://"]


@pytest.mark.parametrize("variable", sorted(set(re.findall(r"`([A-Z_]{5,})`", DOCUMENTED))))
@given(prefix=st.sampled_from(PREFIXES), value=st.text())
def test_whatever_a_variable_holds_is_accepted_or_named(variable: str, prefix: str, value: str) -> None:
    """No value raises another error than the one that names a variable, in one short line that anybody may read."""
    environ = {"ENABLE_METRICS": "true", "REDIS_URL": "rediss://h", variable: f"{prefix}{value}"}
    errors = []
    for read in (Settings.from_env, PushSettings.from_env):
        try:
            read(environ)
        except SettingsError as err:
            errors.append(err)
    for error in errors:
        assert error.variable in error.public_text
        assert error.public_text.isascii()
        assert error.public_text.isprintable()
        assert len(error.public_text) < 250
        assert len(str(error)) < 500
