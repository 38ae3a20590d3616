"""The settings of a push, read from the environment."""

from __future__ import annotations

import pytest

from lib.kairo_metrics import SettingsError
from lib.kairo_metrics.config.push_settings import PushSettings

OTLP = {"METRICS_PUSH_PROTOCOL": "otlp"}
SIGV4 = "METRICS_REMOTE_WRITE_SIGV4"


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({"METRICS_REMOTE_WRITE_URL": "prometheus.example.org"}, "METRICS_REMOTE_WRITE_URL"),
        ({"METRICS_REMOTE_WRITE_URL": "https://user:hidden@example.org/"}, "METRICS_REMOTE_WRITE_URL"),
        ({"METRICS_REMOTE_WRITE_URL": "https://example.org:port/"}, "METRICS_REMOTE_WRITE_URL"),
        ({"METRICS_REMOTE_WRITE_URL": "https://example.org/a b"}, "METRICS_REMOTE_WRITE_URL"),
        ({"METRICS_REMOTE_WRITE_URL": "https://example.org/ü"}, "METRICS_REMOTE_WRITE_URL"),
        ({"METRICS_REMOTE_WRITE_URL": "https://example..org/"}, "METRICS_REMOTE_WRITE_URL"),
        ({"METRICS_REMOTE_WRITE_TOKEN": "hidden\nhidden"}, "METRICS_REMOTE_WRITE_TOKEN"),
        ({"METRICS_REMOTE_WRITE_TOKEN": "hidden日"}, "METRICS_REMOTE_WRITE_TOKEN"),
        (
            {"METRICS_REMOTE_WRITE_USERNAME": "1:2", "METRICS_REMOTE_WRITE_PASSWORD": "hidden"},
            "METRICS_REMOTE_WRITE_USERNAME",
        ),
        ({"METRICS_REMOTE_WRITE_USERNAME": "1"}, "METRICS_REMOTE_WRITE_PASSWORD"),
        ({"METRICS_REMOTE_WRITE_PASSWORD": "hidden"}, "METRICS_REMOTE_WRITE_USERNAME"),
        (
            {
                "METRICS_REMOTE_WRITE_TOKEN": "hidden",
                "METRICS_REMOTE_WRITE_USERNAME": "1",
                "METRICS_REMOTE_WRITE_PASSWORD": "hidden",
            },
            "METRICS_REMOTE_WRITE_TOKEN",
        ),
        ({"METRICS_REMOTE_WRITE_LABELS": "job"}, "METRICS_REMOTE_WRITE_LABELS"),
        ({"METRICS_REMOTE_WRITE_LABELS": "__name__=x"}, "METRICS_REMOTE_WRITE_LABELS"),
        ({"METRICS_REMOTE_WRITE_LABELS": "job=a,job=b"}, "METRICS_REMOTE_WRITE_LABELS"),
        ({"METRICS_REMOTE_WRITE_LABELS": "job=\udc80"}, "METRICS_REMOTE_WRITE_LABELS"),
        ({"METRICS_REMOTE_WRITE_TIMEOUT_MS": "soon"}, "METRICS_REMOTE_WRITE_TIMEOUT_MS"),
        ({"METRICS_PUSH_PROTOCOL": "grpc"}, "METRICS_PUSH_PROTOCOL"),
        ({"METRICS_PUSH_PROTOCOL": "remote-write-2"}, "METRICS_PUSH_PROTOCOL"),
        ({**OTLP, "OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({**OTLP, "OTEL_EXPORTER_OTLP_ENDPOINT": "https://a:hidden@example.org"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({**OTLP, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "no"}, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"),
        ({**OTLP, "OTEL_EXPORTER_OTLP_HEADERS": "hidden"}, "OTEL_EXPORTER_OTLP_HEADERS"),
        ({**OTLP, "OTEL_EXPORTER_OTLP_HEADERS": "a b=hidden"}, "OTEL_EXPORTER_OTLP_HEADERS"),
        ({**OTLP, "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "a=hidden%0A"}, "OTEL_EXPORTER_OTLP_METRICS_HEADERS"),
        ({f"{SIGV4}_REGION": "Frankfurt am Main"}, f"{SIGV4}_REGION"),
        ({f"{SIGV4}_ROLE_ARN": "arn:aws:iam::1:role/a"}, f"{SIGV4}_REGION"),
        ({f"{SIGV4}_PROFILE": "metrics"}, f"{SIGV4}_REGION"),
        ({f"{SIGV4}_REGION": "eu-west-1", f"{SIGV4}_ACCESS_KEY": "hidden"}, f"{SIGV4}_SECRET_KEY"),
        ({f"{SIGV4}_REGION": "eu-west-1", f"{SIGV4}_SECRET_KEY": "hidden"}, f"{SIGV4}_ACCESS_KEY"),
        ({f"{SIGV4}_REGION": "eu-west-1", "METRICS_REMOTE_WRITE_TOKEN": "hidden"}, f"{SIGV4}_REGION"),
        ({**OTLP, f"{SIGV4}_REGION": "eu-west-1"}, f"{SIGV4}_REGION"),
    ],
)
def test_a_bad_setting_is_named_and_no_secret_is_repeated(environ: dict[str, str], variable: str) -> None:
    """The error says which variable to correct."""
    with pytest.raises(SettingsError) as caught:
        PushSettings.from_env(environ)
    assert caught.value.variable == variable
    assert "hidden" not in str(caught.value)


def test_settings_are_read_with_their_secrets_out_of_sight() -> None:
    """Labels add to job and instance, pasted line breaks are cut off, and no repr shows a secret."""
    settings = PushSettings.from_env(
        {
            "METRICS_REMOTE_WRITE_URL": "https://prometheus.example.org/api/prom/push\n",
            "METRICS_REMOTE_WRITE_TOKEN": "hidden",
            "METRICS_REMOTE_WRITE_LABELS": "job=cms, region=fra1",
            "VERCEL_ENV": "production",
            "CRON_SECRET": "hidden\n",
        }
    )
    assert settings.labels == {"job": "cms", "instance": "production", "region": "fra1"}
    assert settings.cron_secret == "hidden"
    assert "hidden" not in repr(settings)


def test_a_wrong_protocol_is_told_with_those_that_there_are() -> None:
    """The error names the variable, the values and what was given."""
    with pytest.raises(SettingsError) as caught:
        PushSettings.from_env({"METRICS_PUSH_PROTOCOL": "grpc"})
    assert str(caught.value) == "METRICS_PUSH_PROTOCOL must be remote-write, remote-write-1 or otlp, not 'grpc'"


@pytest.mark.parametrize(
    ("environ", "protocol"),
    [({}, "remote-write"), ({"METRICS_PUSH_PROTOCOL": " Remote-Write-1 "}, "remote-write-1"), (OTLP, "otlp")],
)
def test_the_protocol_is_chosen(environ: dict[str, str], protocol: str) -> None:
    """By default it is remote write, whose newest version is tried first."""
    assert PushSettings.from_env(environ).protocol == protocol


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://otlp.example.org/otlp"}, "https://otlp.example.org/otlp/v1/metrics"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318/"}, "http://localhost:4318/v1/metrics"),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318",
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://victoria:8428/opentelemetry/v1/metrics",
            },
            "http://victoria:8428/opentelemetry/v1/metrics",
        ),
        ({"METRICS_REMOTE_WRITE_URL": "https://prometheus.example.org/api/v1/write"}, None),
    ],
)
def test_otlp_goes_where_opentelemetrys_variables_say(environ: dict[str, str], url: str | None) -> None:
    """The address for metrics is taken as it is; the one for all signals gets the path of the standard."""
    assert PushSettings.from_env({**OTLP, **environ}).receiver_url == url


def test_the_headers_for_metrics_replace_the_common_ones() -> None:
    """Their values are percent-encoded, as OpenTelemetry asks for."""
    common = {**OTLP, "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Basic%20MTI6aGlkZGVu,x-scope-orgid = 7"}
    settings = PushSettings.from_env(common)
    assert settings.otlp_headers == {"Authorization": "Basic MTI6aGlkZGVu", "x-scope-orgid": "7"}
    assert "MTI6" not in repr(settings)
    both = PushSettings.from_env({**common, "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "api-key=k%3D1"})
    assert both.otlp_headers == {"api-key": "k=1"}


def test_without_otlp_nobody_reads_opentelemetrys_variables() -> None:
    """They may be there for traces, and a mistake in them does not end pushes by remote write."""
    assert (
        PushSettings.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": "no", "OTEL_EXPORTER_OTLP_HEADERS": "no"}).otlp_url
        is None
    )


def test_the_settings_of_prometheus_own_block_sign_for_aws() -> None:
    """Region, key, secret, profile and role are those of `sigv4:` in Prometheus' configuration."""
    parts = {"REGION": "eu-west-1", "ACCESS_KEY": "AKIA", "SECRET_KEY": "hidden", "PROFILE": "p", "ROLE_ARN": "arn:r"}
    settings = PushSettings.from_env({f"{SIGV4}_{part}": value for part, value in parts.items()})
    assert {part: getattr(settings, f"sigv4_{part.lower()}") for part in parts} == parts
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize("headers", [{"a b": "hidden"}, {"": "hidden"}, {"a": "hidden\n"}, {"a": "hidden日"}])
def test_a_header_from_code_is_checked_as_well(headers: dict[str, str]) -> None:
    """A header that no request can carry is refused when the settings are made, and its value is not repeated."""
    with pytest.raises(SettingsError, match="OTEL_EXPORTER_OTLP_HEADERS") as caught:
        PushSettings(protocol="otlp", otlp_headers=headers)
    assert "hidden" not in str(caught.value)
