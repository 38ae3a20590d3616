"""What stands before the endpoint: the host that runs it, and proxies that answer in its place."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from .finding import Finding, fail
from .http_client import Answer

__all__ = ["closed_door", "is_on_vercel", "login_page", "where_the_log_is"]

_CLOSED = frozenset({401, 403, 405, 429, 503})
_FORBIDDEN, _TOO_MANY = 403, 429
_BYPASS = (
    "make a bypass secret, and send it: --header x-vercel-protection-bypass=SECRET here, "
    "`params: {x-vercel-protection-bypass: [SECRET]}` in the scrape config; or scrape the production domain"
)
# Firewalls and bot checks that answer in the place of a site, by a header that only they send.
_FIREWALLS = {
    ("cf-mitigated", ""): "Cloudflare",
    ("server", "cloudflare"): "Cloudflare",
    ("x-amzn-waf-action", ""): "AWS WAF",
    ("server", "CloudFront"): "CloudFront",
    ("server", "AkamaiGHost"): "Akamai",
    ("x-iinfo", ""): "Imperva",
    ("x-sucuri-id", ""): "Sucuri",
    ("x-datadome", ""): "DataDome",
    ("x-azure-ref", ""): "Azure Front Door",
}
# Hosts of login pages, to which a proxy redirects whoever is not logged in.
_LOGINS = re.compile(
    r"(?:.*\.)?(?:cloudflareaccess\.com|okta\.com|auth0\.com|amazoncognito\.com|microsoftonline\.com)|accounts\.google\.com"
)


def is_on_vercel(host: str, answer: Answer | None) -> bool:
    """Tell whether Vercel runs the functions."""
    headers = answer.headers if answer else {}
    return host.endswith(".vercel.app") or "x-vercel-id" in headers or "x-vercel-error" in headers


def where_the_log_is(host: str, answer: Answer | None) -> str:
    """Return the advice that names the log of the host that runs the functions.

    Args:
        host: the name in the address.
        answer: an answer of that host, if there is one.
    """
    headers = answer.headers if answer else {}
    if is_on_vercel(host, answer):
        return "look at the functions' log: vercel logs"
    if host.endswith(".herokuapp.com") or "heroku" in f"{headers.get('server')} {headers.get('via')}".lower():
        return "look at the app's log: heroku logs --tail"
    if host.endswith((".amazonaws.com", ".on.aws")) or "apigw-requestid" in headers:
        return "look at the function's log: sam logs, or CloudWatch"
    return "look at the log of the server that runs the functions"


def login_page(address: str, status: int) -> Finding | None:
    """Return the finding for a redirect to a login page, or None if the address is no login page that is known."""
    host = urlsplit(address).hostname or ""
    found = f"{status} to the login of {host}"
    if host == "vercel.com" or host.endswith(".vercel.com"):
        return fail("protection", found, f"Deployment Protection: {_BYPASS}")
    if _LOGINS.fullmatch(host):
        advice = "let the path pass without that login: the metrics page checks its own token"
        return fail("protection", found, advice)
    return None


def closed_door(answer: Answer) -> Finding | None:
    """Return the finding for an answer of what stands before the endpoint; None if it may be the endpoint's own."""
    found = f"{answer.status} with {answer.reason}, before the endpoint is asked"
    by_vercel = "x-vercel-mitigated" in answer.headers or "_vercel_sso_nonce" in answer.headers.get("set-cookie", "")
    if by_vercel:
        return fail("protection", found, f"Deployment Protection, or Vercel's firewall: {_BYPASS}")
    if answer.status not in _CLOSED or not (answer.is_html or "cf-mitigated" in answer.headers):
        return None
    if firewall := _firewall(answer):
        advice = f"{firewall} stands before it, and its firewall or bot check refuses: let this path pass there"
        return fail("protection", found, advice)
    if answer.status in {_FORBIDDEN, _TOO_MANY, 401}:
        return fail(
            "protection",
            found,
            f"on Vercel it is Deployment Protection: {_BYPASS}; elsewhere a proxy refuses: let this path pass there",
        )
    return None


def _firewall(answer: Answer) -> str:
    for (name, value), firewall in _FIREWALLS.items():
        if name in answer.headers and value.lower() in answer.headers[name].lower():
            return firewall
    return ""
