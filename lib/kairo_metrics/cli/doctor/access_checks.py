"""Checks of the access to the page: name, connection, redirects, login pages, tokens and the store."""

from __future__ import annotations

import re
import secrets
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from ...endpoints.explanations import A_SETTING_IS_WRONG
from .finding import Finding, fail, ok, skipped, warn
from .front import closed_door, is_on_vercel, login_page, where_the_log_is
from .http_client import Answer, Target, Unreachable, fetch
from .redis_advice import advice_on_reply
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
_OK, _BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY, _UNAVAILABLE = 200, 400, 401, 403, 404, 429, 503
# How Go, nginx and Apache refuse plain HTTP at a port for TLS.
_WANTS_TLS = re.compile(rb"HTTP request (?:was sent )?to (?:an )?HTTPS|plain HTTP to an SSL", re.IGNORECASE)
_USE_HTTPS = "use https:// here, and `scheme: https` in Prometheus"
# By words of a 503 that the endpoint itself sends: the check, and what to do.
_UNAVAILABLE_BECAUSE = {
    A_SETTING_IS_WRONG: ("settings", "correct that variable where the functions run, and deploy again"),
    "no token is configured": ("token", "set METRICS_AUTH_TOKEN in that environment, and deploy again"),
    "token": ("token", "run `doctor` in that environment: it shows what AWS said"),
}
# The reason continues with the words of Redis, which may be any.
_STORE = "the store "
_REFUSED = {
    _FORBIDDEN: "a proxy or firewall refuses this machine: let its address pass there, and that of Prometheus",
    _TOO_MANY: "a rate limit refuses: raise it for this path, or scrape less often",
}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ORDER = ("dns", "connection", "redirect", "protection", "switch", "settings", "door", "wrong-token", "token", "store")


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
    yield _without_token(target, answer)
    yield _wrong_token(target, _ask(target, _bearer(secrets.token_hex(32)), limit_s, "wrong-token"))
    for number, token in enumerate(tokens, start=1):
        answer = _ask(target, {**_AS_PROMETHEUS, **_bearer(token)}, limit_s, "token")
        which = "the token" if len(tokens) == 1 else f"token {number} of {len(tokens)}"
        yield _token(target, answer, which)
        if number == 1:
            yield _store(target, answer)
            pages.scraped = answer
            pages.text = _ask(target, {**_AS_TEXT, **_bearer(token)}, limit_s, "store")


def _ask(target: Target, headers: dict[str, str], limit_s: float, check: str) -> Answer:
    try:
        return fetch(target, headers, limit_s)
    except Unreachable as err:
        if not target.secure and _speaks_tls(target, limit_s):
            raise _Stop(fail(check, f"no answer over plain HTTP: {err}", _USE_HTTPS)) from err
        raise _Stop(fail(check, f"no answer: {err}", where_the_log_is(target.host, None))) from err


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


def _speaks_tls(target: Target, limit_s: float) -> bool:
    """Tell whether the port of an http:// address answers a TLS handshake, with whatever certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    def shake_hands() -> None:
        with (
            socket.create_connection((target.host, target.port), limit_s) as plain,
            context.wrap_socket(plain, server_hostname=target.host),
        ):
            pass

    try:
        within(limit_s, shake_hands)
    except (OSError, ValueError):
        return False
    return True


def _redirect(target: Target, answer: Answer) -> Finding:
    if answer.status not in _REDIRECTS:
        return ok("redirect", "none: this is the final address")
    address = urljoin(target.url, answer.headers.get("location", ""))
    if login := login_page(address, answer.status):
        raise _Stop(login)
    to = urlsplit(address)
    needs_tls = (to.scheme, to.hostname) == ("https", target.host) and not target.secure
    elsewhere = "scrape that address itself: a token is not sent to another host after a redirect"
    found = f"{answer.status} to {address.partition('?')[0]}"
    raise _Stop(fail("redirect", found, _USE_HTTPS if needs_tls else elsewhere))


def _protection(answer: Answer) -> Finding:
    if closed := closed_door(answer):
        raise _Stop(closed)
    return ok("protection", "no login page stands before the endpoint")


def _switch(target: Target, answer: Answer) -> Finding:
    if answer.status != _NOT_FOUND:
        return ok("switch", "metrics are on")
    if "metrics are off" in answer.reason:
        raise _Stop(
            fail("switch", f"404: {answer.reason}", "set ENABLE_METRICS=true in that environment, and deploy again")
        )
    raise _Stop(fail("switch", f"404: {answer.reason}", f"there is no metrics page at {target.path}: correct the path"))


def _without_token(target: Target, answer: Answer) -> Finding:
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
    raise _Stop(_broken(target, answer, "door"))


def _wrong_token(target: Target, answer: Answer) -> Finding:
    if answer.status == _UNAUTHORIZED:
        return ok("wrong-token", "401 with a wrong token")
    if answer.status == _OK:
        return fail("wrong-token", "200 with a wrong token", "nothing checks it: see `door`")
    raise _Stop(_broken(target, answer, "wrong-token"))


def _token(target: Target, answer: Answer, which: str) -> Finding:
    if answer.status == _UNAUTHORIZED:
        raise _Stop(
            fail(
                "token",
                f"401: {which} is not the one that is set there",
                "set the same one in both places, and deploy again; look for a line break or quotes around it",
            )
        )
    if answer.status not in {_OK, _UNAVAILABLE} or _is_about_token(answer):
        raise _Stop(_broken(target, answer, "token"))
    return ok("token", f"{which} opens the page")


def _store(target: Target, answer: Answer) -> Finding:
    if answer.status == _OK:
        return ok("store", "the endpoint can read Redis")
    on_vercel = ": vercel env run" if is_on_vercel(target.host, answer) else ""
    look = f"ask /api/health?ready=1, then run `doctor` where the functions' variables are set{on_vercel}"
    advice = advice_on_reply(answer.reason)
    raise _Stop(fail("store", f"503: {answer.reason}", advice or look))


def _broken(target: Target, answer: Answer, check: str) -> Finding:
    """Return the finding for an answer that neither accepts nor refuses the token."""
    if answer.status == _UNAVAILABLE:
        for words, (named, advice) in _UNAVAILABLE_BECAUSE.items():
            if words in answer.reason and not answer.reason.startswith(_STORE):
                return fail(named, f"503: {answer.reason}", advice)
    platform = answer.headers.get("x-vercel-error", "")
    found = f"{answer.status} {platform}".strip() + f": {answer.reason}"
    if answer.status == _BAD_REQUEST and not target.secure and _WANTS_TLS.search(answer.body[:2000]):
        return fail(check, found, _USE_HTTPS)
    return fail(check, found, _REFUSED.get(answer.status) or where_the_log_is(target.host, answer))


def _is_about_token(answer: Answer) -> bool:
    return answer.status == _UNAVAILABLE and "token" in answer.reason and not answer.reason.startswith(_STORE)
