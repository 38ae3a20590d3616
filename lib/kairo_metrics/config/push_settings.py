"""Settings of pushes: the receiver, the login there, and by whose call."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ..errors import SettingsError
from .settings import Environment

__all__ = ["PushSettings"]

_LABEL_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
# What the line of a request and its headers can carry without a second reading.
_PRINTABLE = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSettings:
    """Where `push_app` sends what a scrape would show.

    Args:
        url: the receiver's address, `http://` or `https://`; None while nothing is pushed
            (`METRICS_REMOTE_WRITE_URL`).
        username: of a basic login, at Grafana Cloud the instance's number (`METRICS_REMOTE_WRITE_USERNAME`).
        password: that goes with it (`METRICS_REMOTE_WRITE_PASSWORD`).
        token: a bearer token in place of both (`METRICS_REMOTE_WRITE_TOKEN`).
        labels: what tells this target from others (`METRICS_REMOTE_WRITE_LABELS`, as `job=cms,region=fra1`).
        timeout_ms: milliseconds that one push may take, retries included (`METRICS_REMOTE_WRITE_TIMEOUT_MS`).
        cron_secret: what whoever calls for a push must present (`CRON_SECRET`).

    Example:
        >>> PushSettings.from_env({"METRICS_REMOTE_WRITE_LABELS": "job=cms"}).labels
        {'job': 'cms', 'instance': 'development'}
    """

    url: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    labels: Mapping[str, str] = field(default_factory=dict)
    timeout_ms: int = 20_000
    cron_secret: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse what can't work.

        Raises:
            SettingsError: a value is malformed, or one is set without another; the error names its variable.
        """
        if self.url is not None:
            _check_receiver_url("METRICS_REMOTE_WRITE_URL", self.url)
        if self.token and (self.username or self.password):
            raise SettingsError("METRICS_REMOTE_WRITE_TOKEN", "is set beside a username or password: one login is used")
        for one, other in (("USERNAME", "PASSWORD"), ("PASSWORD", "USERNAME")):
            if getattr(self, one.lower()) and not getattr(self, other.lower()):
                raise SettingsError(f"METRICS_REMOTE_WRITE_{other}", f"is missing beside METRICS_REMOTE_WRITE_{one}")
        if self.token and not _PRINTABLE.fullmatch(self.token):
            raise SettingsError(
                "METRICS_REMOTE_WRITE_TOKEN", "has a space, a line break or a letter beyond ASCII in it: paste it again"
            )
        # The colon is what parts it from the password (RFC 7617, section 2).
        if ":" in (self.username or ""):
            raise SettingsError("METRICS_REMOTE_WRITE_USERNAME", "may hold no colon")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> PushSettings:
        """Read the settings from `environ`, by default the process environment.

        Raises:
            SettingsError: a variable is malformed; the error names it.
        """
        env = Environment(environ)
        labels = _labels("METRICS_REMOTE_WRITE_LABELS", env.text("METRICS_REMOTE_WRITE_LABELS"))
        return cls(
            url=env.text("METRICS_REMOTE_WRITE_URL") or None,
            username=env.text("METRICS_REMOTE_WRITE_USERNAME") or None,
            password=env.text("METRICS_REMOTE_WRITE_PASSWORD") or None,
            token=env.text("METRICS_REMOTE_WRITE_TOKEN") or None,
            labels={"job": "kairo", "instance": env.namespace(), **labels},
            timeout_ms=env.whole("METRICS_REMOTE_WRITE_TIMEOUT_MS", 20_000, 1_000, 300_000),
            cron_secret=env.text("CRON_SECRET") or None,
        )


def _check_receiver_url(variable: str, url: str) -> None:
    """Refuse an address that can't work, without repeating it: a login may have been put into it."""
    try:
        parts = urlsplit(url)
        _ = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError:
        raise SettingsError(variable, "is no URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError(variable, "must be the receiver's whole address, https://... with its path")
    if parts.username is not None or "@" in parts.query or "@" in parts.fragment:
        raise SettingsError(
            variable, "has a login in it: put that into METRICS_REMOTE_WRITE_USERNAME and METRICS_REMOTE_WRITE_PASSWORD"
        )
    if not _PRINTABLE.fullmatch(url):
        raise SettingsError(variable, "has a space or a letter beyond ASCII in it: percent-encode them")


def _labels(variable: str, text: str) -> dict[str, str]:
    labels = {}
    for pair in filter(None, map(str.strip, text.split(","))):
        name, _, value = (part.strip() for part in pair.partition("="))
        if not _LABEL_NAME.fullmatch(name) or not value:
            raise SettingsError(variable, f"must be labels such as job=cms,region=fra1; {pair!r} is none")
        if name in labels:
            raise SettingsError(variable, f"has the label {name!r} twice")
        if not value.isprintable():
            raise SettingsError(variable, f"has something in the label {name!r} that is no text")
        labels[name] = value
    return labels
