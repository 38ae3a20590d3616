"""`init` in projects that another library measures, or that a front end shares."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.init_run import FLASK, Init, write

# By the word for `names=`: an app that a library measures, and the file that shows it.
MEASURED_BY_ANOTHER = {
    "starlette_exporter": (
        "web.py",
        {
            "main.py": "from web import make\n\napp = make()\n",
            "web.py": "from fastapi import FastAPI\nfrom starlette_exporter import PrometheusMiddleware\n\n\n"
            "def make():\n    app = FastAPI()\n    app.add_middleware(PrometheusMiddleware)\n    return app\n",
        },
    ),
    "fastapi_instrumentator": (
        "main.py",
        {
            "main.py": "from fastapi import FastAPI\nfrom prometheus_fastapi_instrumentator import Instrumentator\n\n"
            "app = FastAPI()\nInstrumentator().instrument(app).expose(app)\n"
        },
    ),
    "flask_exporter": (
        "shop/monitoring.py",
        {
            "main.py": FLASK + "import shop.monitoring\n",
            "shop/monitoring.py": "import prometheus_flask_exporter\n",
        },
    ),
    "django_prometheus": (
        "shop/settings.py",
        {
            "manage.py": 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n',
            "main.py": "from django.core.wsgi import get_wsgi_application\n\napp = get_wsgi_application()\n",
            "shop/settings.py": 'MIDDLEWARE = ["django_prometheus.middleware.PrometheusBeforeMiddleware"]\n',
        },
    ),
}


@pytest.mark.parametrize("names", MEASURED_BY_ANOTHER)
def test_an_app_that_another_library_measures_is_not_measured_twice(tmp_path: Path, init: Init, names: str) -> None:
    """Its owner is told which line keeps the names; the package, its requirements and the settings are written."""
    file, files = MEASURED_BY_ANOTHER[names]
    write(tmp_path, files)
    ran = init(tmp_path, "--yes")
    line = f'app = instrument(app, names="{names}", metrics_path="/metrics") in main.py'
    assert f"by hand: {file}: " in ran.out
    assert f"measures your requests: take it out as docs/migrating.md shows, and write {line}" in ran.out
    assert "# what is to be done by hand, above; then" in ran.out
    assert "https://<domain>/metrics" in ran.out
    assert {name: (tmp_path / name).read_text() for name in files} == files
    assert (tmp_path / "lib/kairo_metrics/__init__.py").is_file()
    assert "redis" in (tmp_path / "requirements.txt").read_text()
    # What is left of the library after the move is no second measurement.
    moved = files["main.py"] + f"from lib.kairo_metrics import instrument\n{line.removesuffix(' in main.py')}\n"
    write(tmp_path, {"main.py": moved})
    assert "nothing is missing" in init(tmp_path).out


def test_the_route_to_the_page_is_that_of_the_other_library(tmp_path: Path, init: Init) -> None:
    """Where vercel.json has routes, the one to add leads to the page that the printed line makes."""
    _file, files = MEASURED_BY_ANOTHER["fastapi_instrumentator"]
    settings = '{"builds": [{"src": "main.py", "use": "@vercel/python"}], "routes": []}'
    write(tmp_path, {**files, "vercel.json": settings})
    assert 'vercel.json: add a route from /metrics to main.py to "routes"' in init(tmp_path).out


def test_what_only_mentions_another_library_is_measured(tmp_path: Path, init: Init) -> None:
    """Backends of django-prometheus, a comment and a test measure no requests."""
    write(
        tmp_path,
        {
            "app.py": FLASK,
            "settings.py": '# "django_prometheus.middleware"\nENGINE = "django_prometheus.db.backends.sqlite3"\n',
            "notes.py": "# from starlette_exporter import PrometheusMiddleware\n",
            "tests/test_app.py": "import prometheus_flask_exporter\n",
        },
    )
    assert 'app = instrument(app, metrics_path="/api/metrics")' in init(tmp_path, "--yes").out


def test_of_several_functions_only_that_of_another_library_is_left(tmp_path: Path, init: Init) -> None:
    """Each function is a process, so the others get their line; the page is a function of its own."""
    other = f"from prometheus_flask_exporter import PrometheusMetrics\n{FLASK}PrometheusMetrics(app)\n"
    write(tmp_path, {"api/desk.py": FLASK, "api/shop.py": other})
    ran = init(tmp_path, "--yes")
    assert 'write app = instrument(app, names="flask_exporter") in api/shop.py' in ran.out
    assert "instrument(app)" in (tmp_path / "api/desk.py").read_text()
    assert "https://<domain>/api/metrics" in ran.out


def test_a_front_end_keeps_its_settings(shop: Path, init: Init) -> None:
    """A project with a front end has a framework and static files of its own."""
    write(shop, {"package.json": "{}"})
    assert init(shop, "--yes").code == 0
    assert set(json.loads((shop / "vercel.json").read_text())) == {"$schema", "functions", "headers"}
    assert not (shop / "public").exists()
    assert not (shop / ".vercelignore").exists()


def test_a_site_in_the_root_is_not_hidden(shop: Path, init: Init) -> None:
    """A folder public/ would take its pages off the web, so its owner is told to move them."""
    write(shop, {"index.html": "hello"})
    ran = init(shop, "--yes")
    assert not (shop / "public").exists()
    assert "by hand: move your static files (index.html, ...) into public/" in ran.out
