"""The guide to a user's own tests: its project runs as it stands, with the copied folder and with the wheel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lib.kairo_metrics import testing
from tests.support.dev_server import REPOSITORY

pytestmark = pytest.mark.slow

GUIDE = (REPOSITORY / "docs" / "testing-your-app.md").read_text()
FILES: dict[str, str] = dict(re.findall(r"```\w+\n# ([\w.]+)\n(.*?)```", GUIDE, re.DOTALL))
[COMMAND] = re.findall(r"```bash\npython (.*?)\n```", GUIDE)
PACKAGE = REPOSITORY / "lib" / "kairo_metrics"


def project(folder: Path, package: str, files: dict[str, str]) -> None:
    """Write the files of a project, and the package as a user has it: in `lib`, or where pip puts a wheel."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("lib.kairo_metrics", package))
    place = folder / "lib" if package.startswith("lib.") else folder / "site-packages"
    shutil.copytree(PACKAGE, place / "kairo_metrics", ignore=shutil.ignore_patterns("__pycache__"))


def run(folder: Path, arguments: str, **variables: str) -> str:
    """Run Python in the project, and return what it printed; a failure is the test's."""
    kept = {name: value for name, value in os.environ.items() if "METRICS" not in name and name != "REDIS_URL"}
    plugins = {
        "PYTEST_ADDOPTS": "-p no:faker -p no:hypothesispytest"
    }  # a user's project has them not, and they are slow
    environment = {**kept, **plugins, "PYTHONPATH": "site-packages", **variables}
    command = [sys.executable, *arguments.split()]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


@pytest.mark.parametrize("package", ["lib.kairo_metrics", pytest.param("kairo_metrics", marks=pytest.mark.long)])
def test_the_project_of_the_guide(package: str, tmp_path: Path) -> None:
    """A user copies the files and runs the command: all pass, with warnings as errors, in parallel, and backwards."""
    assert set(FILES) == {"shop.py", "conftest.py", "test_shop.py", "pytest.ini"}
    project(tmp_path, package, FILES)
    tests = len(re.findall(r"^(?:async )?def test_", FILES["test_shop.py"], re.MULTILINE)) + 1  # one has two settings
    assert f"{tests} passed" in run(tmp_path, COMMAND)
    if package == "kairo_metrics":
        assert f"{tests} passed" in run(tmp_path, f"{COMMAND} -n 2")
        names = re.findall(r"^(?:async )?def (test_\w+)", FILES["test_shop.py"], re.MULTILINE)
        backwards = " ".join(f"test_shop.py::{name}" for name in reversed(names))
        # As on a machine where metrics are on for the whole run, with a Redis that nobody may ask.
        on = {"ENABLE_METRICS": "true", "REDIS_URL": "redis://127.0.0.1:1", "METRICS_AUTH_TOKEN": "t"}
        assert f"{tests} passed" in run(tmp_path, f"{COMMAND} -p no:randomly {backwards}", **on)


DJANGO = {
    "shop/__init__.py": "",
    "shop/settings.py": """
        SECRET_KEY = "x"
        ROOT_URLCONF = "shop.urls"
        WSGI_APPLICATION = "shop.wsgi.application"
        ALLOWED_HOSTS = ["*"]
        DATABASES = {}
    """,
    "shop/urls.py": """
        from django.http import HttpResponse, StreamingHttpResponse
        from django.urls import path
        from prometheus_client import Counter

        ORDERS = Counter("orders_total", "Orders.", ["kind"])

        def order(request, kind):
            ORDERS.labels(kind).inc()
            return HttpResponse("", status=201)

        def fail(request):
            raise ZeroDivisionError

        urlpatterns = [
            path("orders/<str:kind>", order),
            path("fail", fail),
            path("stream", lambda request: StreamingHttpResponse(iter([b"a", b"b"]))),
        ]
    """,
    "shop/wsgi.py": """
        from django.core.wsgi import get_wsgi_application
        from lib.kairo_metrics import instrument

        application = instrument(get_wsgi_application(), prefix="shop_")
    """,
    "test_shop.py": """
        import django
        django.setup()
        from django.test import SimpleTestCase
        from lib.kairo_metrics import Settings
        from lib.kairo_metrics.testing import counted, isolated_metrics

        class OrderTest(SimpleTestCase):
            def setUp(self):
                self.enterContext(isolated_metrics())

            def test_an_order_is_counted(self):
                for time in range(2):
                    self.assertEqual(self.client.post("/orders/book").status_code, 201)
                self.assertEqual(counted("shop_http_requests_total", route="/orders/<str:kind>", status=201), 2)
                self.assertEqual(counted("orders_total", kind="book"), 2)

            def test_an_error(self):
                self.client.raise_request_exception = False
                self.assertEqual(self.client.get("/fail").status_code, 500)
                self.assertEqual(self.client.get("/none").status_code, 404)
                self.assertEqual(counted("shop_api_errors_total", type="ZeroDivisionError"), 1)
                self.assertEqual(counted("shop_http_requests_total"), 2)

            def test_a_stream(self):
                self.assertEqual(b"".join(self.client.get("/stream").streaming_content), b"ab")
                self.assertEqual(counted("shop_http_requests_total", route="/stream"), 1)

            async def test_the_asynchronous_client(self):
                self.assertEqual((await self.async_client.post("/orders/map")).status_code, 201)
                self.assertEqual(counted("shop_http_requests_total", route="/orders/<str:kind>"), 1)

            def test_metrics_off(self):
                with isolated_metrics(Settings(enabled=False)):
                    self.assertEqual(self.client.post("/orders/book").status_code, 201)
                    self.assertEqual(counted("orders_total"), 0)
    """,
}


@pytest.mark.long
def test_a_django_project(tmp_path: Path) -> None:
    """Django's own test clients are measured as the project's application is, with unittest and with pytest."""
    project(tmp_path, "lib.kairo_metrics", {name: textwrap.dedent(text) for name, text in DJANGO.items()})
    assert "Ran 5 tests" in run(tmp_path, "-W error -m unittest test_shop", DJANGO_SETTINGS_MODULE="shop.settings")
    options = "-W error -m pytest -p no:cacheprovider -o asyncio_default_fixture_loop_scope=function"
    assert "5 passed" in run(tmp_path, options, DJANGO_SETTINGS_MODULE="shop.settings")


def test_the_unittest_of_the_guide(tmp_path: Path) -> None:
    """A Django user copies the class with its imports into a project whose application is measured, and it passes."""
    [block] = re.findall(r"```python\n(from django.test.*?)```", GUIDE, re.DOTALL)
    files = {name: textwrap.dedent(text) for name, text in DJANGO.items()}
    files["shop/wsgi.py"] = files["shop/wsgi.py"].replace(', prefix="shop_"', "")
    files["test_shop.py"] = f"import django\ndjango.setup()\n{block}"
    project(tmp_path, "lib.kairo_metrics", files)
    assert "Ran 1 test" in run(tmp_path, "-W error -m unittest test_shop", DJANGO_SETTINGS_MODULE="shop.settings")


@pytest.mark.long
def test_a_django_project_that_is_not_instrumented(tmp_path: Path) -> None:
    """A project whose application is not given to `instrument` counts no requests in its tests, as in production."""
    files = {name: textwrap.dedent(text) for name, text in DJANGO.items()}
    files["shop/wsgi.py"] = "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
    files["test_shop.py"] = textwrap.dedent("""
        import django
        django.setup()
        from django.test import SimpleTestCase
        from lib.kairo_metrics.testing import counted, isolated_metrics

        class OrderTest(SimpleTestCase):
            def test_no_request_is_counted(self):
                with isolated_metrics():
                    self.assertEqual(self.client.post("/orders/book").status_code, 201)
                    self.assertEqual((counted("orders_total"), counted("http_requests_total")), (1, 0))
    """)
    project(tmp_path, "lib.kairo_metrics", files)
    assert "Ran 1 test" in run(tmp_path, "-W error -m unittest test_shop", DJANGO_SETTINGS_MODULE="shop.settings")


def test_the_example_of_the_docstring(tmp_path: Path) -> None:
    """The example in the docstring of `kairo_metrics.testing` passes with the app that it speaks of."""
    example = textwrap.dedent((testing.__doc__ or "").partition("\n\n    ")[2].join(("    ", "")))
    shop = """
        from starlette.applications import Starlette
        from starlette.responses import Response
        from starlette.routing import Route
        from kairo_metrics import instrument

        app = instrument(Starlette(routes=[Route("/orders", lambda _: Response("", 201), methods=["POST"])]))
    """
    project(tmp_path, "kairo_metrics", {"shop.py": textwrap.dedent(shop), "test_example.py": example})
    options = "-W error -m pytest -q -p no:cacheprovider -o asyncio_default_fixture_loop_scope=function"
    assert "1 passed" in run(tmp_path, options)
