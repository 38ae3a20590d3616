"""Write the tables of docs/metrics.md: every family that the package shows, from the declarations in the code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lib.kairo_metrics.instruments.chosen_instruments import InProgressInstruments, SizeInstruments
from lib.kairo_metrics.instruments.declaration import Declaration
from lib.kairo_metrics.instruments.declarations import DECLARATIONS
from lib.kairo_metrics.instruments.delivery_instruments import DeliveryInstruments
from lib.kairo_metrics.instruments.function_instruments import FunctionInstruments
from lib.kairo_metrics.instruments.outbound_instruments import OutboundInstruments
from lib.kairo_metrics.instruments.query_instruments import DjangoInstruments, QueryInstruments
from lib.kairo_metrics.instruments.request_instruments import RequestInstruments
from lib.kairo_metrics.instruments.websocket_instruments import WebSocketInstruments
from lib.kairo_metrics.model import delivery_metrics
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.scrape import self_metrics

__all__ = ["END", "START", "families", "tables"]

START = "<!-- written by make reference -->\n"
END = "<!-- end -->\n"
_PAGE = Path(__file__).parents[1] / "metrics.md"

# The title of each group, and when its families are on the page.
_GROUPS = {
    RequestInstruments: ("Requests", "From the first request to an app that `instrument` measures."),
    InProgressInstruments: (
        "Requests in progress",
        "With the option [`in_progress`](options.md#requests-in-progress).",
    ),
    SizeInstruments: ("Sizes of bodies", "With the option [`sizes`](options.md#sizes)."),
    WebSocketInstruments: ("Websockets", "From the first websocket of an app that `instrument` measures."),
    FunctionInstruments: (
        "Functions",
        "From the first call of a function, or run of a block, that `measured` measures.",
    ),
    QueryInstruments: ("SQLAlchemy", "With [`observe(engine)`](databases-and-clients.md#sqlalchemy)."),
    DjangoInstruments: (
        "Django's databases",
        "With [`observe(django.db.connections)`](databases-and-clients.md#django); the migrations only on request.",
    ),
    OutboundInstruments: (
        "Requests to others",
        "With [`observe(httpx.AsyncClient())`](databases-and-clients.md#http-clients), or another client.",
    ),
    DeliveryInstruments: (
        "Pushes and tokens",
        "Where metrics are [pushed](push.md), and where [AWS keeps the token](../deploy/aws/README.md).",
    ),
}
_OF_BATCHES = ("Delivery", "Always, each outcome from 0.")
_OF_THE_PAGE = (
    "The page itself",
    "Always; those that count faults only where there is a fault, and the memory only if the store reports it.",
)


@dataclass(frozen=True, slots=True)
class Family:
    """One row.

    Args:
        name: as the text format prints it.
        type: counter, gauge or histogram.
        labels: their names.
        text: the HELP text.
        bounds: a histogram's upper bounds.
    """

    name: str
    type: str
    labels: tuple[str, ...]
    text: str
    bounds: tuple[float, ...] = ()


def _declared(one: Declaration) -> Family:
    bounds = tuple(one.options.get("buckets", ()))
    return Family(one.name, one.kind.__name__.lower(), one.labelnames, one.text, bounds)


def _stored(schema: Schema) -> Family:
    name = f"{schema.name}_total" if schema.type == "counter" else schema.name
    return Family(name, schema.type, schema.labelnames, schema.help)


def families() -> dict[tuple[str, str], list[Family]]:
    """Return the families of each group, which is named by its title and by when they are on the page."""
    groups = {_GROUPS[group]: [_declared(one) for one in declared] for group, declared in DECLARATIONS.items()}
    groups[_OF_BATCHES] = [_stored(schema) for schema in delivery_metrics.SCHEMAS]
    groups[_OF_THE_PAGE] = [_stored(schema) for schema in self_metrics.SCHEMAS]
    return groups


def tables(groups: dict[tuple[str, str], list[Family]]) -> str:
    """Return the groups as headings and tables of Markdown.

    Args:
        groups: as `families` returns them.
    """
    return "\n".join("".join(_section(title, when, members)) for (title, when), members in groups.items())


def _section(title: str, when: str, members: Iterable[Family]) -> Iterable[str]:
    yield f"### {title}\n\n{when}\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n"
    for one in members:
        labels = ", ".join(f"`{label}`" for label in one.labels) or "none"
        bounds = ", ".join(f"{bound:.15g}" for bound in one.bounds)
        text = one.text + (f" Upper bounds: {bounds}." if bounds else "")
        yield f"| `{one.name}` | {one.type} | {labels} | {text} |\n"


if __name__ == "__main__":
    before, _, rest = _PAGE.read_text().partition(START)
    _PAGE.write_text(f"{before}{START}\n{tables(families())}\n{END}{rest.partition(END)[2]}")
