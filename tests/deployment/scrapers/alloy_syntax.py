"""Parses Alloy's configuration language, as its reference describes it: blocks, attributes and expressions.

No package registry of the tests has Alloy, so the tests have this grammar.
Source: https://grafana.com/docs/alloy/latest/get-started/configuration-syntax/syntax/
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lark import Lark, Token, Transformer

# A statement ends with its line. Newlines matter only in a body, and after the commas of lists and objects, the
# last of which may be before the closing bracket.
_GRAMMAR = r"""
start: body
body: _NL? (statement (_NL statement)* _NL?)?
?statement: attribute | block
attribute: NAME "=" expression
block: dotted STRING? "{" body "}"
dotted: NAME ("." NAME)*
?expression: STRING -> string
    | NUMBER -> number
    | "true" -> true
    | "false" -> false
    | array
    | mapping
    | call
    | dotted -> reference
array: "[" _NL? (expression ("," _NL? expression)* ("," _NL?)?)? "]"
mapping: "{" _NL? (entry ("," _NL? entry)* ("," _NL?)?)? "}"
entry: (STRING | NAME) "=" expression
call: dotted "(" (expression ("," expression)*)? ")"
NAME: /[A-Za-z_][A-Za-z0-9_]*/
STRING: /"([^"\\\n]|\\[\\"nrt])*"/
NUMBER: /[0-9]+(\.[0-9]+)?/
COMMENT: /\/\/[^\n]*/
_NL: /([ \t]*(\/\/[^\n]*)?\n)+[ \t]*/
%ignore /[ \t]+/
%ignore COMMENT
"""


@dataclass(frozen=True, slots=True)
class Block:
    """One block: `name "label" { ... }`.

    Args:
        name: with its dots.
        label: the label, or None.
        attributes: the evaluated attributes by name.
        blocks: the inner blocks.
    """

    name: str
    label: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """An export of another component, such as `prometheus.remote_write.cloud.receiver`."""

    name: str


class _Values(Transformer[Token, Block]):
    """Evaluates expressions, with the functions of the standard library that this project calls."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__()
        self._functions = {
            "sys.env": lambda name: environ.get(name, ""),
            "coalesce": lambda *values: next(filter(None, values), values[-1]),
        }

    def start(self, parts: list[Any]) -> Block:
        return Block("", None, *parts[0])

    def body(self, parts: list[Any]) -> tuple[dict[str, Any], tuple[Block, ...]]:
        attributes = [part for part in parts if isinstance(part, tuple)]
        assert len(dict(attributes)) == len(attributes), f"an attribute is repeated in {attributes}"
        return dict(attributes), tuple(part for part in parts if isinstance(part, Block))

    def attribute(self, parts: list[Any]) -> tuple[str, Any]:
        return str(parts[0]), parts[1]

    def block(self, parts: list[Any]) -> Block:
        name, *label, body = parts
        return Block(name, json.loads(label[0]) if label else None, *body)

    def dotted(self, parts: list[Token]) -> str:
        return ".".join(parts)

    def reference(self, parts: list[str]) -> Reference:
        return Reference(parts[0])

    def string(self, parts: list[Token]) -> str:
        return str(json.loads(parts[0]))

    def number(self, parts: list[Token]) -> float:
        return float(parts[0])

    def true(self, _: list[Token]) -> bool:
        return True

    def false(self, _: list[Token]) -> bool:
        return False

    def array(self, parts: list[Any]) -> list[Any]:
        return parts

    def mapping(self, parts: list[Any]) -> dict[str, Any]:
        return dict(parts)

    def entry(self, parts: list[Any]) -> tuple[str, Any]:
        key = parts[0]
        return (json.loads(key) if key.type == "STRING" else str(key)), parts[1]

    def call(self, parts: list[Any]) -> Any:
        return self._functions[parts[0]](*parts[1:])


def read(text: str, environ: Mapping[str, str]) -> Block:
    """Return the outermost block of a configuration, with every expression evaluated.

    Args:
        text: the configuration.
        environ: the variables for `sys.env`; a missing one is empty, as in Alloy.

    Raises:
        lark.exceptions.UnexpectedInput: the text does not follow the grammar.
    """
    tree = Lark(_GRAMMAR, parser="earley", lexer="dynamic").parse(text)
    return _Values(environ).transform(tree)
