"""Settings of pushes: the protocol, the receiver, the login there, and the secret of the cron that asks for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import SettingsError
from .environment import Environment, quoted, read_or_log
from .receiver_url import PRINTABLE, check_receiver_url
from .settings import Settings

__all__ = ["PROTOCOLS", "PushSettings", "load_push_settings"]

PROTOCOLS = ("remote-write", "remote-write-1", "otlp")
# The settings that are texts, or nothing.
_TEXTS = {
    "url": "METRICS_REMOTE_WRITE_URL",
    "username": "METRICS_REMOTE_WRITE_USERNAME",
    "password": "METRICS_REMOTE_WRITE_PASSWORD",
    "token": "METRICS_REMOTE_WRITE_TOKEN",
    "sigv4_region": "METRICS_REMOTE_WRITE_SIGV4_REGION",
    "sigv4_access_key": "METRICS_REMOTE_WRITE_SIGV4_ACCESS_KEY",
    "sigv4_secret_key": "METRICS_REMOTE_WRITE_SIGV4_SECRET_KEY",
    "sigv4_profile": "METRICS_REMOTE_WRITE_SIGV4_PROFILE",
    "sigv4_role_arn": "METRICS_REMOTE_WRITE_SIGV4_ROLE_ARN",
}
_LABEL_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_REGION = re.compile(r"[a-z0-9-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSettings:
    """Where and how `push_app` sends the metrics.

    Args:
        protocol: `remote-write` (version 2.0, or 1.0 for a receiver without it), `remote-write-1` (1.0 alone) or `otlp`
            (OpenTelemetry over HTTP) (`METRICS_PUSH_PROTOCOL`).
        url: the address of a remote-write receiver, `http://` or `https://`; None if nothing is pushed
            (`METRICS_REMOTE_WRITE_URL`).
        username: for basic authentication; at Grafana Cloud the number of the instance
            (`METRICS_REMOTE_WRITE_USERNAME`).
        password: for basic authentication (`METRICS_REMOTE_WRITE_PASSWORD`).
        token: a bearer token instead of username and password (`METRICS_REMOTE_WRITE_TOKEN`).
        sigv4_region: instead, the AWS region of an Amazon Managed Prometheus; then each request is signed
            (`METRICS_REMOTE_WRITE_SIGV4_REGION`). The other settings are those of Prometheus' `sigv4` block.
        sigv4_access_key: the key to sign with; else the usual places are searched
            (`METRICS_REMOTE_WRITE_SIGV4_ACCESS_KEY`).
        sigv4_secret_key: its secret (`METRICS_REMOTE_WRITE_SIGV4_SECRET_KEY`).
        sigv4_profile: the profile to take the key from (`METRICS_REMOTE_WRITE_SIGV4_PROFILE`).
        sigv4_role_arn: the role to take on before signing (`METRICS_REMOTE_WRITE_SIGV4_ROLE_ARN`).
        otlp_url: the address of a receiver of OTLP; None if nothing is pushed
            (`OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`, else `OTEL_EXPORTER_OTLP_ENDPOINT` and `/v1/metrics`).
        otlp_headers: the headers for it, such as a login
            (`OTEL_EXPORTER_OTLP_METRICS_HEADERS`, else `OTEL_EXPORTER_OTLP_HEADERS`).
        labels: the labels of this target, added to every series (`METRICS_REMOTE_WRITE_LABELS`, such as
            `job=cms,region=fra1`).
        timeout_ms: milliseconds that one push may take, retries included (`METRICS_REMOTE_WRITE_TIMEOUT_MS`).
        cron_secret: the secret that a request for a push must present (`CRON_SECRET`).

    Example:
        >>> PushSettings.from_env({"METRICS_REMOTE_WRITE_LABELS": "job=cms"}).labels
        {'job': 'cms', 'instance': 'development'}
    """

    protocol: str = "remote-write"
    url: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    sigv4_region: str | None = None
    sigv4_access_key: str | None = field(default=None, repr=False)
    sigv4_secret_key: str | None = field(default=None, repr=False)
    sigv4_profile: str | None = None
    sigv4_role_arn: str | None = None
    otlp_url: str | None = None
    otlp_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    labels: Mapping[str, str] = field(default_factory=dict)
    timeout_ms: int = 20_000
    cron_secret: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check all values.

        Raises:
            SettingsError: a value is malformed, or another value is missing beside it; the error names the variable.
        """
        if self.protocol not in PROTOCOLS:
            *others, last = PROTOCOLS
            given = f", not {quoted(str(self.protocol))}"
            raise SettingsError("METRICS_PUSH_PROTOCOL", f"must be {', '.join(others)} or {last}", given)
        if self.url is not None:
            check_receiver_url(
                "METRICS_REMOTE_WRITE_URL", self.url, "METRICS_REMOTE_WRITE_USERNAME and METRICS_REMOTE_WRITE_PASSWORD"
            )
        if self.otlp_url is not None:
            check_receiver_url(self.receiver_variable, self.otlp_url, "OTEL_EXPORTER_OTLP_HEADERS")
        if self.otlp_headers:
            from .otlp_receiver import check_headers

            check_headers("OTEL_EXPORTER_OTLP_HEADERS", self.otlp_headers)
        self._check_logins()
        if self.token and not PRINTABLE.fullmatch(self.token):
            raise SettingsError(
                "METRICS_REMOTE_WRITE_TOKEN", "holds a space, a line break or a character outside ASCII: paste it again"
            )
        # A colon separates username and password (RFC 7617, section 2).
        if ":" in (self.username or ""):
            raise SettingsError("METRICS_REMOTE_WRITE_USERNAME", "must not hold a colon")
        if self.sigv4_region and not _REGION.fullmatch(self.sigv4_region):
            raise SettingsError("METRICS_REMOTE_WRITE_SIGV4_REGION", "must be a region of AWS, such as eu-central-1")

    def _check_logins(self) -> None:
        """Refuse two logins, and half of one."""
        given = {
            "METRICS_REMOTE_WRITE_TOKEN": self.token,
            "METRICS_REMOTE_WRITE_SIGV4_REGION": self.sigv4_region,
        }
        for variable, value in given.items():
            if value and (self.username or self.password):
                raise SettingsError(variable, "is set beside a username or password: set only one of the two logins")
        if all(given.values()):
            raise SettingsError(
                "METRICS_REMOTE_WRITE_SIGV4_REGION", "is set beside METRICS_REMOTE_WRITE_TOKEN: set only one login"
            )
        needed = [("USERNAME", "PASSWORD"), ("PASSWORD", "USERNAME")]
        needed += [("SIGV4_ACCESS_KEY", "SIGV4_SECRET_KEY"), ("SIGV4_SECRET_KEY", "SIGV4_ACCESS_KEY")]
        needed += [(f"SIGV4_{part}", "SIGV4_REGION") for part in ("ACCESS_KEY", "PROFILE", "ROLE_ARN")]
        for one, other in needed:
            if getattr(self, one.lower()) and not getattr(self, other.lower()):
                raise SettingsError(f"METRICS_REMOTE_WRITE_{other}", f"is missing beside METRICS_REMOTE_WRITE_{one}")
        if self.sigv4_region and self.protocol == "otlp":
            raise SettingsError(
                "METRICS_REMOTE_WRITE_SIGV4_REGION", "signs remote write alone: unset it, or METRICS_PUSH_PROTOCOL"
            )

    @property
    def receiver_url(self) -> str | None:
        """The address of the receiver in the chosen protocol; None if nothing is pushed."""
        return self.otlp_url if self.protocol == "otlp" else self.url

    @property
    def receiver_variable(self) -> str:
        """The variable that gives the receiver's address."""
        return "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT" if self.protocol == "otlp" else "METRICS_REMOTE_WRITE_URL"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> PushSettings:
        """Read the settings from `environ`, by default the process environment.

        Raises:
            SettingsError: a variable is malformed; the error names it.
        """
        env = Environment(environ)
        protocol = env.text("METRICS_PUSH_PROTOCOL").lower() or PROTOCOLS[0]
        given: dict[str, Any] = {"protocol": protocol}
        if protocol == "otlp":  # these variables may be there for other programs
            from .otlp_receiver import otlp_headers, otlp_url  # most deployments push by remote write, or not at all

            given |= {"otlp_url": otlp_url(env), "otlp_headers": otlp_headers(env)}
        given |= {name: env.text(variable) or None for name, variable in _TEXTS.items()}
        labels = _labels("METRICS_REMOTE_WRITE_LABELS", env.text("METRICS_REMOTE_WRITE_LABELS"))
        return cls(
            labels={"job": "kairo", "instance": env.namespace(), **labels},
            timeout_ms=env.whole("METRICS_REMOTE_WRITE_TIMEOUT_MS", 20_000, 1_000, 300_000),
            cron_secret=env.text("CRON_SECRET") or None,
            **given,
        )


def load_push_settings(settings: Settings) -> tuple[PushSettings, SettingsError | None]:
    """Return the settings of a running function, and the error if a variable is wrong, which is logged once.

    Args:
        settings: while they turn metrics off, no variable is read.
    """
    if not settings.enabled:
        return PushSettings(), None
    return read_or_log(PushSettings.from_env, PushSettings(), "nothing is pushed, and the push endpoint answers 503")


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
