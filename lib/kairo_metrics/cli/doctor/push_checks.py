"""The check of the receiver that the metrics are pushed to, in the chosen protocol."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from ...config.environment import environment
from ...config.push_settings import PushSettings
from ...endpoints.push_packages import push_flaw
from ...errors import ReceiverError
from .finding import Finding, fail, ok, warn

__all__ = ["check_push"]

_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN = 400, 401, 403
_LOGINS = {
    "remote-write": "METRICS_REMOTE_WRITE_USERNAME and METRICS_REMOTE_WRITE_PASSWORD, or METRICS_REMOTE_WRITE_TOKEN",
    "otlp": "OTEL_EXPORTER_OTLP_HEADERS",
}


def check_push(limit_s: float, environ: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """Send the receiver a request without a sample, as a push would; no finding if nothing is pushed.

    Args:
        limit_s: seconds that the check may take.
        environ: by default the process environment.
    """
    settings = PushSettings.from_env(environment() if environ is None else environ)
    if settings.receiver_url is None:
        if settings.protocol != "remote-write":
            yield warn(
                "push",
                f"METRICS_PUSH_PROTOCOL is {settings.protocol}, and no receiver is set",
                f"set {settings.receiver_variable}, or unset METRICS_PUSH_PROTOCOL",
            )
        return
    if flaw := push_flaw(settings.protocol):
        yield fail("push", flaw, "add that package to what the deployment installs")
        return
    yield _asked(settings, limit_s)
    if settings.cron_secret is None:
        yield warn("push", "CRON_SECRET is not set: /api/push answers 503", "set CRON_SECRET, and deploy again")


def _asked(settings: PushSettings, limit_s: float) -> Finding:
    from ...endpoints.pusher import Pusher  # it brings the messages and the HTTP client

    try:
        protocol = Pusher(settings).probe(time.monotonic() + limit_s)
    except ReceiverError as err:
        if err.status == _BAD_REQUEST:
            # Some receivers refuse a request without samples; they have read it, so address and login are right.
            return ok("push", f"the receiver accepts the login: {err}")
        return fail("push", str(err), _advice(settings, str(err)))
    return ok("push", f"the receiver takes {protocol}, and accepts the login")


def _advice(settings: PushSettings, reason: str) -> str:
    if any(f"answered {status}" in reason for status in (_UNAUTHORIZED, _FORBIDDEN)):
        if settings.sigv4_region:
            return "let this role do aps:RemoteWrite there, and compare METRICS_REMOTE_WRITE_SIGV4_REGION"
        return f"correct {_LOGINS['otlp' if settings.protocol == 'otlp' else 'remote-write']}"
    if "signed for AWS" in reason or "to sign with" in reason:
        return "make a key of AWS known here, and add botocore to what the deployment installs"
    return f"correct {settings.receiver_variable}, or look at the receiver's log"
