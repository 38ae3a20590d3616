"""Where `init` puts the metrics page."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.kairo_metrics.cli.init.plan import make_plan

FLASK = "from flask import Flask\napp = Flask(__name__)\n"


def _route(path: str) -> str:
    return f'{FLASK}\n\n@app.get("{path}")\ndef view() -> str:\n    return "mine"\n'


@pytest.mark.parametrize(
    ("files", "page"),
    [
        ({"api/index.py": FLASK}, "/api/metrics"),
        ({"api/index.py": FLASK, "api/metrics.py": FLASK}, "/api/prometheus"),
        ({"api/index.py": FLASK, "api/metrics/index.py": FLASK}, "/api/prometheus"),
        ({"api/index.py": FLASK, "api/metrics.ts": "export default 1"}, "/api/prometheus"),
        ({"api/index.py": FLASK, "api/metrics/[id].py": FLASK}, "/api/metrics"),
        ({"api/index.py": _route("/api/metrics")}, "/api/prometheus"),
        ({"app.py": _route("/api/metrics/")}, "/api/prometheus"),
        ({"app.py": _route("/api/metrics/today")}, "/api/metrics"),
        ({"app.py": FLASK, "shop/views.py": _route("/api/metrics")}, "/api/prometheus"),
        ({"app.py": FLASK, "old.py": "# größe".encode("latin-1")}, "/api/metrics"),
    ],
)
def test_a_path_of_the_project_stays_its_own(tmp_path: Path, files: dict[str, str | bytes], page: str) -> None:
    """Two files with one path fail the build, and a page before a route of the app would hide it."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
    plan = make_plan(tmp_path)
    assert plan.page == page
    written = "".join(change.after for change in plan.changes if change.path.name == "app.py")
    assert not written or f'metrics_path="{page}"' in written
    for change in plan.changes:
        if change.path.parts[0] == "api":
            (tmp_path / change.path).write_text(change.after)
    assert make_plan(tmp_path).page == page


def test_the_page_of_an_app_is_where_the_app_has_it(tmp_path: Path) -> None:
    """A project that lacks only requirements is told the path that its app serves."""
    (tmp_path / "app.py").write_text(
        "from flask import Flask\nfrom kairo_metrics import instrument\n"
        'app = instrument(Flask(__name__), metrics_path="/internal/metrics")\n'
    )
    assert make_plan(tmp_path).page == "/internal/metrics"


def test_a_function_gets_its_packages_where_vercel_looks_for_them(tmp_path: Path) -> None:
    """Vercel installs for a function the nearest list, so a line in another one would be without effect."""
    for name, text in {
        "requirements.txt": "django\n",
        "api/requirements.txt": "flask\n",
        "api/index.py": FLASK,
        "api/shop/requirements.in": "flask\n",
        "api/shop/index.py": FLASK,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    changed = {change.path.as_posix(): change.after for change in make_plan(tmp_path).changes}
    lists = {name: text for name, text in changed.items() if "requirements" in name}
    assert lists == dict.fromkeys(
        ["api/requirements.txt", "api/shop/requirements.in"], "flask\nprometheus-client\nredis\nstarlette\n"
    )


def test_an_app_in_a_folder_has_the_list_of_the_root(tmp_path: Path) -> None:
    """Where no nearer one is."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text(FLASK)
    (tmp_path / "requirements.txt").write_text("flask\nredis==3.5\n")
    plan = make_plan(tmp_path)
    assert "requirements.txt" in {change.path.as_posix() for change in plan.changes}
    assert "requirements.txt has redis==3.5: redis>=5 is needed" in plan.warnings
