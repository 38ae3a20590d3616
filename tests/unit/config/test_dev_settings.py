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


def test_further_hosts_are_names_without_ports() -> None:
    """METRICS_DEV_HOSTS is a list of host names, and anything else is one clear line."""
    assert DevSettings.from_env({"METRICS_DEV_HOSTS": "Shop.test, *,2001:db8::7"}).hosts == (
        "shop.test",
        "*",
        "2001:db8::7",
    )
    assert DevSettings.from_env({"METRICS_DEV_HOSTS": ""}).hosts == ()
    for wrong in ("https://shop.test", "shop.test:3000", "a b", ".shop.test", "shop.test/x"):
        with pytest.raises(SettingsError, match=r"^METRICS_DEV_HOSTS must be host names without ports"):
            DevSettings.from_env({"METRICS_DEV_HOSTS": wrong})
