"""The settings of the dev server from the environment."""

from __future__ import annotations

import pytest

from lib.kairo_metrics.config.dev_settings import DevSettings
from lib.kairo_metrics.errors import SettingsError


@pytest.mark.parametrize("url", ["127.0.0.1:9090", "ftp://host", "http://", "http://host/?a=b", "http://host:port"])
def test_a_bad_prometheus_url_is_one_clear_line(url: str) -> None:
    """A malformed PROMETHEUS_URL is refused at the start, and not repeated, because it may hold a password."""
    with pytest.raises(SettingsError, match=r"^PROMETHEUS_URL (must be the base address|is not a URL)") as err:
        DevSettings.from_env({"PROMETHEUS_URL": url})
    assert url not in str(err.value).replace("http://127.0.0.1:9090", "")
