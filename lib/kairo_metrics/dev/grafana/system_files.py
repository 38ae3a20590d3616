"""All files for a system: what `grafana` of the command line writes."""

from __future__ import annotations

from .dashboard.dashboard_json import dashboard_json
from .rules.rule_files import alerts_yml, recording_yml
from .runbooks import runbooks_md
from .system import System

__all__ = ["files_of"]


def files_of(system: System) -> dict[str, str]:
    """Return the text of each file by its path; the same system gives the same text.

    Example:
        >>> sorted(files_of(System(job="shop-.*", title="Shop")))
        ['dashboard.json', 'rules/alerts.yml', 'rules/recording.yml', 'runbooks.md']
    """
    return {
        "dashboard.json": dashboard_json(system),
        "rules/alerts.yml": alerts_yml(system),
        "rules/recording.yml": recording_yml(system),
        "runbooks.md": runbooks_md(system),
    }
