"""The dashboard's JSON as tests read it: panels, queries, and queries with their variables filled in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from grafana import DASHBOARD, FOLDER

__all__ = ["DOCUMENT", "PANELS", "QUERIES", "filled"]

DOCUMENT: dict[str, Any] = json.loads((FOLDER / DASHBOARD).read_text())
# Without the rows themselves; the panels of a closed row are inside it.
PANELS: dict[int, dict[str, Any]] = {
    panel["id"]: panel
    for outer in DOCUMENT["panels"]
    for panel in (outer, *outer.get("panels", ()))
    if panel["type"] != "row"
}
# "<title of the panel> (<its number>), <letter of the query>" -> PromQL
QUERIES: dict[str, str] = {
    f"{panel['title']} ({number}), {target['refId']}": target["expr"]
    for number, panel in PANELS.items()
    for target in panel.get("targets", ())
}
_BUILT_IN = {"__rate_interval": "1m", "__range": "1h"}


def filled(expr: str, values: Mapping[str, str] = _BUILT_IN) -> str:
    """Replace each `$name` by its value; a variable that is not given stands for all its values.

    Example:
        >>> filled('rate(up{job=~"$job"}[$__rate_interval])')
        'rate(up{job=~".*"}[1m])'
    """
    choices = {variable["name"]: ".*" for variable in DOCUMENT["templating"]["list"]}
    # The longest name first, so that $mod does not match the start of $model.
    for name, value in sorted({**_BUILT_IN, **choices, **values}.items(), key=lambda item: -len(item[0])):
        expr = expr.replace(f"${name}", value)
    return expr
