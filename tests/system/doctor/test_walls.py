"""`doctor --url`: what may stand before the page: protections, firewalls, logins, and hosts with logs of their own."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.support.doctor_run import TOKEN, Doctor
from tests.support.site import HTML_KIND, Page, endpoint, site

HTML = b"<!doctype html><title>Authentication Required</title>"
VERCEL = (
    "Deployment Protection, or Vercel's firewall: ",
    "Deployment Protection: ",
    "on Vercel it is Deployment Protection: ",
)


@pytest.mark.parametrize(
    "wall",
    [
        Page(401, HTML, {**HTML_KIND, "Set-Cookie": "_vercel_sso_nonce=x"}),
        Page(403, HTML, HTML_KIND),
        Page(429, b"", {"x-vercel-mitigated": "challenge"}),
        Page(302, b"", {"Location": "https://vercel.com/sso-api?url=x"}),
    ],
)
def test_deployment_protection_is_told_from_a_wrong_token(doctor: Doctor, wall: Page) -> None:
    """A login page before the endpoint is named, with advice; with the bypass every check passes."""

    def answer(path: str, headers: Mapping[str, str]) -> Page:
        return endpoint()(path, headers) if headers.get("x-vercel-protection-bypass") == "hush" else wall

    with site(answer) as url:
        report = doctor("--url", url, METRICS_AUTH_TOKEN=TOKEN)
        assert report.failed == {"protection"}
        assert "make a bypass secret, and send it" in report.text("protection")
        assert any(named in report.text("protection") for named in VERCEL)
        passed = doctor("--url", url, "--header", "x-vercel-protection-bypass=hush", METRICS_AUTH_TOKEN=TOKEN)
    assert passed.code == 0
    assert "hush" not in passed.printed


@pytest.mark.parametrize(
    ("status", "headers", "named"),
    [
        (403, {"Server": "cloudflare", "cf-ray": "x", "cf-mitigated": "challenge"}, "Cloudflare"),
        (503, {"Server": "cloudflare", "cf-ray": "x", "cf-mitigated": "challenge"}, "Cloudflare"),
        (429, {"Server": "cloudflare", "cf-ray": "x"}, "Cloudflare"),
        (405, {"Server": "CloudFront", "x-amzn-waf-action": "captcha"}, "AWS WAF"),
        (403, {"Server": "CloudFront"}, "CloudFront"),
        (403, {"Server": "AkamaiGHost"}, "Akamai"),
        (403, {"x-iinfo": "1"}, "Imperva"),
        (403, {"x-sucuri-id": "1"}, "Sucuri"),
        (403, {"x-datadome": "protected"}, "DataDome"),
        (403, {"x-azure-ref": "1"}, "Azure Front Door"),
    ],
)
def test_a_firewall_of_a_cdn_is_not_taken_for_deployment_protection(
    doctor: Doctor, status: int, headers: dict[str, str], named: str
) -> None:
    """The challenge of a firewall before the site is named by its maker, and a bypass secret of Vercel is no advice."""
    with site(lambda *_: Page(status, HTML, {**HTML_KIND, **headers})) as url:
        report = doctor("--url", url, METRICS_AUTH_TOKEN=TOKEN)
    assert report.failed == {"protection"}
    assert f"{named} stands before it" in report.text("protection")
    assert "bypass" not in report.text("protection")


@pytest.mark.parametrize(
    "goal",
    ["https://team.cloudflareaccess.com/cdn-cgi/access/login", "https://accounts.google.com/o/oauth2/v2/auth?x=1"],
)
def test_a_redirect_to_a_login_is_told_from_another_address(doctor: Doctor, goal: str) -> None:
    """A proxy that asks for a login gets advice of its own: its address is nothing to scrape."""
    with site(lambda *_: Page(302, b"", {"Location": goal})) as url:
        report = doctor("--url", url, METRICS_AUTH_TOKEN=TOKEN)
    assert report.failed == {"protection"}
    assert "let the path pass without that login" in report.text("protection")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-vercel-id": "fra1::x"}, "vercel logs"),
        ({"Via": "1.1 heroku-router"}, "heroku logs"),
        ({"apigw-requestid": "x"}, "sam logs"),
        ({}, "the log of the server that runs the functions"),
    ],
)
def test_the_log_is_that_of_the_host(doctor: Doctor, headers: dict[str, str], expected: str) -> None:
    """A failing function sends the reader to the log of its own host: `vercel logs` only on Vercel."""
    with site(lambda *_: Page(500, b"A server error", headers)) as url:
        report = doctor("--url", url, METRICS_AUTH_TOKEN=TOKEN)
    assert expected in report.text("door")
    assert ("vercel" in report.text("door")) == ("vercel" in expected)


@pytest.mark.parametrize(("headers", "told"), [({"x-vercel-id": "fra1::x"}, True), ({}, False)])
def test_only_on_vercel_its_command_runs_doctor_inside(doctor: Doctor, headers: dict[str, str], told: bool) -> None:
    """Where the store can't be read, `vercel env run` is advised for a deployment on Vercel alone."""
    broken = Page(503, b"the store did not answer within 9 s\n", headers)

    def answer(path: str, asked: Mapping[str, str]) -> Page:
        return broken if TOKEN in asked.get("authorization", "") else endpoint()(path, asked)

    with site(answer) as url:
        report = doctor("--url", url, METRICS_AUTH_TOKEN=TOKEN)
    assert "then run `doctor` where the functions' variables are set" in report.text("store")
    assert ("vercel env run" in report.text("store")) == told


@pytest.mark.parametrize(
    ("status", "expected"), [(403, "let its address pass there"), (429, "raise it for this path, or scrape less often")]
)
def test_a_plain_refusal_is_told_from_a_fault_of_the_function(doctor: Doctor, status: int, expected: str) -> None:
    """A refusal without a page of HTML gets advice about what refuses, and not about the function's log."""
    with site(lambda *_: Page(status, b"no\n", {"Content-Type": "text/plain"})) as url:
        report = doctor("--url", url, METRICS_AUTH_TOKEN=TOKEN)
    assert expected in report.text("door")
