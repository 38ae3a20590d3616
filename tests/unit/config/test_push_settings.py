"""The settings of a push, read from the environment."""

from __future__ import annotations

import pytest

from lib.kairo_metrics import SettingsError
from lib.kairo_metrics.config.push_settings import PushSettings


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
