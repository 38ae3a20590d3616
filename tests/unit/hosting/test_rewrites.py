"""Both servers read `vercel.json` as Vercel does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib.kairo_metrics.errors import HostingError
from lib.kairo_metrics.hosting.rewrites import VercelJson


def parse(*sources: str) -> VercelJson:
    """Build a `vercel.json` in which each source leads to the function `/api/<its position>`."""
    rules = [{"source": source, "destination": f"/api/{number}"} for number, source in enumerate(sources)]
    return VercelJson.parse(json.dumps({"rewrites": rules}))


@pytest.mark.parametrize(
    ("source", "matching", "other"),
    [
        ("/metrics", ["/metrics"], ["/metrics/", "/metricsx", "/x/metrics", "/Metrics"]),
        ("/v1.0/a", ["/v1.0/a"], ["/v1x0/a"]),
        ("/user/:id", ["/user/7", "/user/a.b"], ["/user", "/user/", "/user/7/x"]),
        ("/user/:id/posts", ["/user/7/posts"], ["/user/posts", "/user/7/8/posts"]),
        ("/:year-:month", ["/2024-05"], ["/2024", "/2024-05/x"]),
        ("/content/:path*", ["/content", "/content/a", "/content/a/b"], ["/content/", "/contents", "/content/a/"]),
        ("/content/:path+", ["/content/a", "/content/a/b"], ["/content", "/content/"]),
        ("/:path*/end", ["/end", "/a/b/end"], ["/a/b"]),
        ("/(.*)", ["/", "/a/b"], [""]),
        (r"/post-(\d+)", ["/post-12"], ["/post-a", "/post-"]),
        ("/((?!api/).*)", ["/index", "/apis"], ["/api/hello"]),
    ],
)
def test_a_source_matches_what_it_matches_on_vercel(source: str, matching: list[str], other: list[str]) -> None:
    """A rewrite with any form of source matches the same paths as on Vercel."""
    vercel = parse(source)
    assert [path for path in matching if vercel.destination(path) is None] == []
    assert [path for path in other if vercel.destination(path) is not None] == []


def test_the_first_matching_rewrite_wins() -> None:
    """Rewrites are tried in their order in the file."""
    assert parse("/a/:x", "/a/b", "/:path*").destination("/a/b") == "/api/0"
    assert parse("/a/b", "/a/:x").destination("/a/b") == "/api/0"
    assert parse("/a/b", "/a/:x").destination("/a/c") == "/api/1"


@pytest.mark.parametrize(
    "source", ["/a/:b?", r"/a/:b(\d+)", "/a{/:b}?", "/:", "/a*", "/(a", "/(?:a)", "/a:b*", "/(a)*"]
)
def test_an_unknown_form_of_source_is_refused_by_name(source: str) -> None:
    """A source that is not supported is an error that names it, and not a wrong route."""
    with pytest.raises(HostingError) as error:
        parse("/fine", source)
    assert repr(source) in str(error.value)


def test_a_bad_regular_expression_is_refused_by_name() -> None:
    """An invalid regular expression is an error that names its source."""
    with pytest.raises(HostingError, match=r"'/\(\+\)'.*nothing to repeat"):
        parse("/(+)")


@pytest.mark.parametrize("condition", ["has", "missing"])
def test_a_rule_with_a_condition_is_refused(condition: str) -> None:
    """A rule with a condition on headers or cookies is an error, because the dev server would always apply it."""
    rule = {"source": "/x", "destination": "/api/x", condition: [{"type": "host", "value": "example.com"}]}
    with pytest.raises(HostingError, match=f"'{condition}'.*'/x'"):
        VercelJson.parse(json.dumps({"rewrites": [rule]}))


@pytest.mark.parametrize("destination", ["https://example.com/x", "/api/:name", "api/x"])
def test_a_destination_that_is_no_function_is_refused_by_name(destination: str) -> None:
    """A rewrite to another site or to a computed path is an error that names it."""
    with pytest.raises(HostingError, match=destination):
        VercelJson.parse(json.dumps({"rewrites": [{"source": "/x", "destination": destination}]}))


def test_a_query_in_a_destination_does_not_hide_the_function() -> None:
    """A destination with a query leads to its function."""
    vercel = VercelJson.parse('{"rewrites": [{"source": "/x", "destination": "/api/x?a=1"}]}')
    assert vercel.destination("/x") == "/api/x"


def test_headers_follow_the_same_patterns() -> None:
    """A response has the headers of every rule that matches the requested path."""
    rules = [
        {"source": "/a/:path*", "headers": [{"key": "X-One", "value": "1"}, {"key": "X-Two", "value": "2"}]},
        {"source": "/a/b", "headers": [{"key": "X-Three", "value": "3"}]},
    ]
    vercel = VercelJson.parse(json.dumps({"headers": rules}))
    assert vercel.headers_for("/a/b") == [("X-One", "1"), ("X-Two", "2"), ("X-Three", "3")]
    assert vercel.headers_for("/b") == []


def test_no_file_means_no_rules(tmp_path: Path) -> None:
    """A project without vercel.json is served without rewrites."""
    assert VercelJson.read(tmp_path / "vercel.json") == VercelJson()


@pytest.mark.parametrize("text", ["{", "[]", '{"rewrites": [{"source": "/x"}]}', '{"headers": [{"source": "/x"}]}'])
def test_a_broken_file_is_named(text: str) -> None:
    """An error about a malformed vercel.json names the file."""
    with pytest.raises(HostingError, match=r"vercel\.json"):
        VercelJson.parse(text)


def test_the_project_s_own_file_serves_what_the_guide_promises() -> None:
    """`/metrics` and every path below `/api/content` reach their functions, and a scrape is never cached."""
    vercel = VercelJson.read(Path(__file__).parents[3] / "vercel.json")
    assert vercel.destination("/metrics") == "/api/metrics"
    assert vercel.destination("/api/content/hello/publish") == "/api/content"
    assert (
        vercel.headers_for("/metrics") == vercel.headers_for("/api/metrics") == [("Cache-Control", "private, no-store")]
    )
