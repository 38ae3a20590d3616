"""`python -m grafana`: write the files of the CMS; `make grafana` runs it."""

from __future__ import annotations

from lib.kairo_metrics.dev.grafana.system_files import files_of

from . import CMS, DASHBOARD, FOLDER

for name, text in files_of(CMS).items():
    (FOLDER / name.replace("dashboard.json", DASHBOARD)).write_text(text, encoding="utf-8")
