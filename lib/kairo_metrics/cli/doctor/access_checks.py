"""Checks of the access to the page: name, connection, redirects, login pages, tokens and the store."""

from __future__ import annotations

import secrets
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from .finding import Finding, fail, ok, skipped, warn
from .http_client import Answer, Target, Unreachable, fetch
from .time_limit import within

__all__ = ["SCRAPE_TIMEOUT_S", "Pages", "check_access"]

# Prometheus' default, which a scrape config may change.
SCRAPE_TIMEOUT_S = 10
_AS_PROMETHEUS = {
    "Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "Accept-Encoding": "gzip",
    "X-Prometheus-Scrape-Timeout-Seconds": str(SCRAPE_TIMEOUT_S),
}
_AS_TEXT = {**_AS_PROMETHEUS, "Accept": "text/plain;version=0.0.4", "Accept-Encoding": "identity"}
_CERTIFICATE_DAYS = 14
_DAY_S = 86_400
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY, _UNAVAILABLE = 200, 401, 403, 404, 429, 503
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ORDER = ("dns", "connection", "redirect", "protection", "switch", "door", "wrong-token", "token", "store")


@dataclass(slots=True)
class Pages:
    """The page, fetched with the right token: as Prometheus asks for it, and as plain text."""

    scraped: Answer | None = None
    text: Answer | None = None


class _Stop(Exception):
    """A finding that makes all later checks impossible."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text)
        self.finding = finding


def check_access(target: Target, tokens: Sequence[str], limit_s: float, pages: Pages) -> Iterator[Finding]:
    """Check the access step by step. After a step that fails for good, the other checks are skipped.

    Args:
        target: the address of the page.
        tokens: the first one fetches the page; the others must be accepted as well.
        limit_s: seconds that each request may take.
        pages: is filled with the page.
    """
    done = set()
    try:
        for finding in _steps(target, tokens, limit_s, pages):
            done.add(finding.check)
            yield finding
    except _Stop as stop:
        yield stop.finding
        done.add(stop.finding.check)
        reason = f"not reached, because of {stop.finding.check}"
        # Earlier checks without a finding were all right.
        passed = _ORDER.index(stop.finding.check)
        yield from (skipped(check, reason) for check in _ORDER[passed + 1 :] if check not in done)


def _steps(target: Target, tokens: Sequence[str], limit_s: float, pages: Pages) -> Iterator[Finding]:
    yield _name(target, limit_s)
    yield _connection(target, limit_s)
    answer = _ask(target, {}, limit_s, "door")
    yield _redirect(target, answer)
    yield _protection(answer)
    yield _switch(target, answer)
    yield _without_token(answer)
    yield _wrong_token(_ask(target, _bearer(secrets.token_hex(32)), limit_s, "wrong-token"))
    for number, token in enumerate(tokens, start=1):
        answer = _ask(target, {**_AS_PROMETHEUS, **_bearer(token)}, limit_s, "token")
        which = "the token" if len(tokens) == 1 else f"token {number} of {len(tokens)}"
        yield _token(answer, which)
        if number == 1:
            yield _store(answer)
            pages.scraped = answer
            pages.text = _ask(target, {**_AS_TEXT, **_bearer(token)}, limit_s, "store")


def _ask(target: Target, headers: dict[str, str], limit_s: float, check: str) -> Answer:
    try:
        return fetch(target, headers, limit_s)
    except Unreachable as err:
        raise _Stop(fail(check, f"no answer: {err}", "look at the functions' log: vercel logs")) from err


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _name(target: Target, limit_s: float) -> Finding:
    try:
        found = within(limit_s, socket.getaddrinfo, target.host, target.port, 0, socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as err:  # UnicodeError for a malformed name such as a..b
        advice = "correct the name, or wait until its DNS entry has spread"
        raise _Stop(fail("dns", f"{target.host} has no address: {err}", advice)) from err
    except TimeoutError as err:
        advice = "check this machine's name servers"
        raise _Stop(fail("dns", f"no name server answered within {limit_s:g} s", advice)) from err
    addresses = sorted({str(entry[4][0]) for entry in found})
    return ok("dns", f"{target.host} is {', '.join(addresses)}")


def _connection(target: Target, limit_s: float) -> Finding:
    try:
        days = within(limit_s, _shake_hands, target, limit_s)
    except TimeoutError as err:
        advice = "look for a firewall, which Prometheus must pass as well"
        raise _Stop(fail("connection", f"no connection within {limit_s:g} s", advice)) from err
    except ssl.SSLCertVerificationError as err:
        advice = "Prometheus refuses it, too: renew it, or let the platform issue one for the domain"
        raise _Stop(fail("connection", f"the certificate is not valid: {err.verify_message}", advice)) from err
    except OSError as err:
        advice = "correct scheme, host and port; Prometheus' `scheme`, too"
        raise _Stop(fail("connection", f"{target.host}:{target.port}: {err.strerror or err}", advice)) from err
    return _connected(target, days)


def _connected(target: Target, days: float | None) -> Finding:
    """Return the finding for a connection, by the days until its certificate ends; None without TLS."""
    if days is None:
        if target.host == "localhost" or target.host.startswith("127.") or "." not in target.host:
            return ok("connection", f"{target.host}:{target.port} answers, without TLS")
        return warn("connection", "it answers without TLS", "use https://: else the token travels in clear text")
    if days < _CERTIFICATE_DAYS:
        return warn("connection", f"the certificate ends in {int(days)} days", "renew it")
    return ok("connection", f"TLS, and a certificate for {int(days)} days more")


def _shake_hands(target: Target, limit_s: float) -> float | None:
    """Connect, close, and return the days until the certificate ends; None without TLS."""
    with socket.create_connection((target.host, target.port), limit_s) as plain:
        if not target.secure:
            return None
        with ssl.create_default_context().wrap_socket(plain, server_hostname=target.host) as wrapped:
            ends = (wrapped.getpeercert() or {}).get("notAfter")
    return (ssl.cert_time_to_seconds(str(ends)) - time.time()) / _DAY_S


def _redirect(target: Target, answer: Answer) -> Finding:
    if answer.status not in _REDIRECTS:
        return ok("redirect", "none: this is the final address")
    address = urljoin(target.url, answer.headers.get("location", ""))
    host = urlsplit(address).hostname or ""
    if host == "vercel.com" or host.endswith(".vercel.com"):
        raise _Stop(_protected(f"{answer.status} to the login of {host}"))
    raise _Stop(
        fail(
            "redirect",
            f"{answer.status} to {address.partition('?')[0]}",
            "scrape that address itself: a token is not sent to another host after a redirect",
        )
    )


def _protection(answer: Answer) -> Finding:
    challenged = "x-vercel-mitigated" in answer.headers or "_vercel_sso_nonce" in answer.headers.get("set-cookie", "")
    closed = answer.status in {_UNAUTHORIZED, _FORBIDDEN, _TOO_MANY}
    if challenged or (closed and answer.is_html):
        raise _Stop(_protected(f"{answer.status} with {answer.reason}, before the endpoint is asked"))
    return ok("protection", "no login page stands before the endpoint")


def _protected(found: str) -> Finding:
    return fail(
        "protection",
        found,
        "Deployment Protection: make a bypass secret, and send it: --header x-vercel-protection-bypass=SECRET here, "
        "`params: {x-vercel-protection-bypass: [SECRET]}` in the scrape config; or scrape the production domain",
    )


def _switch(target: Target, answer: Answer) -> Finding:
    if answer.status != _NOT_FOUND:
        return ok("switch", "metrics are on")
    if "metrics are off" in answer.reason:
        raise _Stop(
            fail("switch", f"404: {answer.reason}", "set ENABLE_METRICS=true in that environment, and deploy again")
        )
    raise _Stop(fail("switch", f"404: {answer.reason}", f"there is no metrics page at {target.path}: correct the path"))


def _without_token(answer: Answer) -> Finding:
    if answer.status == _UNAUTHORIZED:
        return ok("door", "401 without a token")
    if answer.status == _OK:
        return fail(
            "door",
            "200 without a token: anybody can read this",
            "this is another app, or a cache before it; correct the path, or remove the page from the internet"
            if answer.is_html
            else "look for a proxy or cache that adds the token or keeps the page, and change the token",
        )
    raise _Stop(_broken(answer, "door"))


def _wrong_token(answer: Answer) -> Finding:
    if answer.status == _UNAUTHORIZED:
        return ok("wrong-token", "401 with a wrong token")
    if answer.status == _OK:
        return fail("wrong-token", "200 with a wrong token", "nothing checks it: see `door`")
    raise _Stop(_broken(answer, "wrong-token"))


def _token(answer: Answer, which: str) -> Finding:
    if answer.status == _UNAUTHORIZED:
        raise _Stop(
            fail(
                "token",
                f"401: {which} is not the one that is set there",
                "set the same one in both places, and deploy again; look for a line break or quotes around it",
            )
        )
    if answer.status not in {_OK, _UNAVAILABLE} or _is_about_token(answer):
        raise _Stop(_broken(answer, "token"))
    return ok("token", f"{which} opens the page")


def _store(answer: Answer) -> Finding:
    if answer.status == _OK:
        return ok("store", "the endpoint can read Redis")
    raise _Stop(
        fail(
            "store",
            f"503: {answer.reason}",
            "ask /api/health?ready=1, then run `doctor` where the functions' variables are set: vercel env run",
        )
    )


def _broken(answer: Answer, check: str) -> Finding:
    """Return the finding for an answer that neither accepts nor refuses the token."""
    if answer.status == _UNAVAILABLE and "no token is configured" in answer.reason:
        return fail("token", f"503: {answer.reason}", "set METRICS_AUTH_TOKEN in that environment, and deploy again")
    if answer.status == _UNAVAILABLE and _is_about_token(answer):
        return fail("token", f"503: {answer.reason}", "run `doctor` in that environment: it shows what AWS said")
    platform = answer.headers.get("x-vercel-error", "")
    found = f"{answer.status} {platform}".strip() + f": {answer.reason}"
    return fail(check, found, "look at the functions' log: vercel logs")


def _is_about_token(answer: Answer) -> bool:
    return answer.status == _UNAVAILABLE and "token" in answer.reason
