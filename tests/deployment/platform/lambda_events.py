"""The callers of a Lambda function: how each turns a request into an event, and an answer into a response.

The formats are those of AWS's documentation: a REST API's proxy event (payload 1.0), the event of an HTTP API and of a
Function URL (payload 2.0), and that of a load balancer, with single or with multi-value headers.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

__all__ = ["CALLERS", "HTTP_API", "Call", "Caller", "Response"]

DOMAIN = "abc123.execute-api.eu-west-1.amazonaws.com"
CLIENT = "192.0.2.1"


@dataclass(frozen=True, slots=True)
class Call:
    """A request: the path with its query, and headers that may repeat."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    stage: str | None = None

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.url).query, keep_blank_values=True)

    @property
    def wire_body(self) -> tuple[str | None, bool]:
        """The body in an event: text, or base64 with the flag for it."""
        if self.body is None:
            return None, False
        return base64.b64encode(self.body).decode(), True


@dataclass(frozen=True, slots=True)
class Response:
    """The response that the client gets, and whether its body was sent as base64."""

    status: int
    headers: dict[str, str]
    body: bytes
    was_base64: bool

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True, slots=True)
class Caller:
    """One kind of caller: how it makes an event, where it finds an answer's headers, and whether names may repeat."""

    event: Callable[[Call], dict[str, Any]]
    headers_in: tuple[str, ...]
    repeats: bool = True

    def response(self, answer: dict[str, Any]) -> Response:
        """Convert a handler's answer into the client's response; fail where AWS would fail."""
        assert isinstance(answer["statusCode"], int)
        assert isinstance(answer["body"], str)
        pairs = [pair for place in self.headers_in for pair in _pairs(answer.get(place) or {})]
        body = base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"].encode()
        headers = {name.lower(): value for name, value in pairs}
        assert len(headers) == len(pairs), "a header is repeated"
        return Response(answer["statusCode"], headers, body, answer["isBase64Encoded"])


def _pairs(headers: dict[str, Any]) -> Iterable[tuple[str, str]]:
    for name, value in headers.items():
        for one in value if isinstance(value, list) else [value]:
            assert isinstance(one, str)
            yield name, one


def _multi(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def rest_api(call: Call) -> dict[str, Any]:
    """Make a REST API's event: the stage is beside the path and not in it."""
    body, encoded = call.wire_body
    stage = call.stage or "prod"
    return {
        "resource": "/{proxy+}",
        "path": call.path,
        "httpMethod": call.method,
        "headers": dict(call.headers) or None,
        "multiValueHeaders": _multi(call.headers) or None,
        "queryStringParameters": dict(call.query) or None,
        "multiValueQueryStringParameters": _multi(call.query) or None,
        "pathParameters": {"proxy": call.path.lstrip("/")},
        "stageVariables": None,
        "requestContext": {
            "resourcePath": "/{proxy+}",
            "httpMethod": call.method,
            "path": f"/{stage}{call.path}",
            "stage": stage,
            "domainName": DOMAIN,
            "identity": {"sourceIp": CLIENT},
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
        },
        "body": body,
        "isBase64Encoded": encoded,
    }


def http_api(call: Call) -> dict[str, Any]:
    """Make an HTTP API's event: headers are joined, and a stage is the first part of the path."""
    body, encoded = call.wire_body
    stage = call.stage or "$default"
    path = call.path if stage == "$default" else f"/{stage}{call.path}"
    headers = {name.lower(): ",".join(values) for name, values in _multi(call.headers).items()}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": urlsplit(call.url).query,
        "headers": headers | {"host": DOMAIN, "x-forwarded-proto": "https"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abc123",
            "domainName": DOMAIN,
            "http": {
                "method": call.method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": CLIENT,
                "userAgent": "Prometheus/2.42.0",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
            "stage": stage,
        },
        "isBase64Encoded": encoded,
    }
    return event | ({} if body is None else {"body": body})


def load_balancer(call: Call, *, multi: bool = False) -> dict[str, Any]:
    """Make a load balancer's event: values of the query stay percent-encoded; headers are single or multi-value."""
    body, encoded = call.wire_body
    headers = [*((name.lower(), value) for name, value in call.headers), ("x-forwarded-for", CLIENT)]
    query = [(quote(name, safe=""), quote(value, safe="")) for name, value in call.query]
    prefix, collect = ("multiValueH", _multi) if multi else ("h", dict)
    query_key = "multiValueQueryStringParameters" if multi else "queryStringParameters"
    return {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:tg/x/1"}},
        "httpMethod": call.method,
        "path": call.path,
        query_key: collect(query),
        f"{prefix}eaders": collect(headers),
        "body": body or "",
        "isBase64Encoded": encoded,
    }


HTTP_API = Caller(http_api, ("headers",))
CALLERS = {
    "REST API": Caller(rest_api, ("headers", "multiValueHeaders")),
    "HTTP API or Function URL": HTTP_API,
    # Without multi-value headers only the last value of a header or of a query parameter is passed on.
    "load balancer": Caller(load_balancer, ("headers",), repeats=False),
    "load balancer, multi-value headers": Caller(lambda call: load_balancer(call, multi=True), ("multiValueHeaders",)),
}
