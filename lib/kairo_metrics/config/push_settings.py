"""Settings of pushes: the receiver, the login there, and the secret of the cron that asks for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ..errors import SettingsError
from .settings import Environment, Settings, quoted, read_or_log

__all__ = ["PushSettings", "load_push_settings"]

_LABEL_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
# The characters that a request line and a header can carry without encoding.
_PRINTABLE = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSettings:
    """Where and how `push_app` sends the metrics.

    Args:
        url: the address of the receiver, `http://` or `https://`; None if nothing is pushed
            (`METRICS_REMOTE_WRITE_URL`).
        username: for basic authentication; at Grafana Cloud the number of the instance
            (`METRICS_REMOTE_WRITE_USERNAME`).
        password: for basic authentication (`METRICS_REMOTE_WRITE_PASSWORD`).
        token: a bearer token instead of username and password (`METRICS_REMOTE_WRITE_TOKEN`).
        labels: the labels of this target, added to every series (`METRICS_REMOTE_WRITE_LABELS`, such as
            `job=cms,region=fra1`).
        timeout_ms: milliseconds that one push may take, retries included (`METRICS_REMOTE_WRITE_TIMEOUT_MS`).
        cron_secret: the secret that a request for a push must present (`CRON_SECRET`).

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
        """Check all values.

        Raises:
            SettingsError: a value is malformed, or another value is missing beside it; the error names the variable.
        """
        if self.url is not None:
            _check_receiver_url("METRICS_REMOTE_WRITE_URL", self.url)
        if self.token and (self.username or self.password):
            raise SettingsError(
                "METRICS_REMOTE_WRITE_TOKEN", "is set beside a username or password: set only one of the two logins"
            )
        for one, other in (("USERNAME", "PASSWORD"), ("PASSWORD", "USERNAME")):
            if getattr(self, one.lower()) and not getattr(self, other.lower()):
                raise SettingsError(f"METRICS_REMOTE_WRITE_{other}", f"is missing beside METRICS_REMOTE_WRITE_{one}")
        if self.token and not _PRINTABLE.fullmatch(self.token):
            raise SettingsError(
                "METRICS_REMOTE_WRITE_TOKEN", "holds a space, a line break or a character outside ASCII: paste it again"
            )
        # A colon separates username and password (RFC 7617, section 2).
        if ":" in (self.username or ""):
            raise SettingsError("METRICS_REMOTE_WRITE_USERNAME", "must not hold a colon")

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


def load_push_settings(settings: Settings) -> tuple[PushSettings, SettingsError | None]:
    """Return the settings of a running function, and the error if a variable is wrong, which is logged once.

    Args:
        settings: while they turn metrics off, no variable is read.
    """
    if not settings.enabled:
        return PushSettings(), None
    return read_or_log(PushSettings.from_env, PushSettings(), "nothing is pushed, and the push endpoint answers 503")


def _check_receiver_url(variable: str, url: str) -> None:
    """Refuse a malformed address. The error does not repeat it, because it may hold a login."""
    try:
        parts = urlsplit(url)
        _ = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError:
        raise SettingsError(variable, "is not a URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError(variable, "must be the full address of the receiver, https://... with the path")
    if parts.username is not None or "@" in parts.query or "@" in parts.fragment:
        raise SettingsError(
            variable, "holds a login: put that into METRICS_REMOTE_WRITE_USERNAME and METRICS_REMOTE_WRITE_PASSWORD"
        )
    if not _PRINTABLE.fullmatch(url):
        raise SettingsError(variable, "holds a space or a character outside ASCII: percent-encode them")


def _labels(variable: str, text: str) -> dict[str, str]:
    labels = {}
    for pair in filter(None, map(str.strip, text.split(","))):
        name, _, value = (part.strip() for part in pair.partition("="))
        if not _LABEL_NAME.fullmatch(name) or not value:
            raise SettingsError(
                variable, "must be labels such as job=cms,region=fra1", f"; {quoted(pair)} is not a label"
            )
        if name in labels:
            raise SettingsError(variable, "has a label twice", f": {quoted(name)}")
        if not value.isprintable():
            raise SettingsError(variable, "holds a control character in a label", f": {quoted(name)}")
        labels[name] = value
    return labels
