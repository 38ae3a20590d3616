"""The line that measures an app, put into its file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from lib.kairo_metrics.cli.init.python_edit import measured_text
from lib.kairo_metrics.cli.init.user_app import app_in

IMPORT = "from lib.kairo_metrics import instrument\n"


def edited(root: Path, text: str, metrics_path: str | None = None, name: str | None = None) -> str | None:
    """Return the text with its app measured."""
    (root / "app.py").write_bytes(text.encode())
    app = app_in(root, Path("app.py"), name)
    assert app is not None
    return measured_text(app, "lib.kairo_metrics", metrics_path)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            "from flask import Flask\n\napp = Flask(__name__)\n",
            f"from flask import Flask\n{IMPORT}\napp = Flask(__name__)\napp = instrument(app)\n",
            id="the last import",
        ),
        pytest.param(
            "from flask import Flask\napp = Flask(__name__)",
            f"from flask import Flask\n{IMPORT}app = Flask(__name__)\napp = instrument(app)\n",
            id="no line break at the end",
        ),
        pytest.param(
            "from flask import Flask\r\napp = Flask(\r\n    __name__,\r\n)\r\nx = 1",
            "from flask import Flask\r\nfrom lib.kairo_metrics import instrument\r\napp = Flask(\r\n"
            "    __name__,\r\n)\r\napp = instrument(app)\r\nx = 1",
            id="line breaks of Windows, an app on several lines",
        ),
        pytest.param(
            "from x import make; app = make(); y = [\n    1,\n]\nz = 1\n",
            f"from x import make; app = make(); y = [\n    1,\n]\n{IMPORT}app = instrument(app)\nz = 1\n",
            id="statements that share lines",
        ),
        pytest.param(
            '"""Doc."""\n\nasync def app(scope, receive, send): ...\n',
            f'"""Doc."""\n\n{IMPORT}\nasync def app(scope, receive, send): ...\n\n\napp = instrument(app)\n',
            id="no import",
        ),
        pytest.param(
            "#!/usr/bin/env python\n# Hello.\napp = object()\n",
            f"#!/usr/bin/env python\n# Hello.\n{IMPORT}\napp = object()\napp = instrument(app)\n",
            id="comments first",
        ),
        pytest.param(
            "from __future__ import annotations\n\nfrom shop.wsgi import application\n\nfoo = 1\n",
            f"from __future__ import annotations\n\nfrom shop.wsgi import application\n{IMPORT}"
            "application = instrument(application)\n\nfoo = 1\n",
            id="an imported app",
        ),
        pytest.param(
            "from x import A, B\napp = A()\nif 1:\n    app = B(app)\nif __name__ == '__main__':\n    app = 1\n",
            f"from x import A, B\n{IMPORT}app = A()\nif 1:\n    app = B(app)\napp = instrument(app)\n"
            "if __name__ == '__main__':\n    app = 1\n",
            id="the last binding that a host runs",
        ),
        pytest.param(
            "from http.server import HTTPHandler as B\n\n\n@other\nclass handler(B): ...\n",
            f"from http.server import HTTPHandler as B\n{IMPORT}\n\n@instrument\n@other\nclass handler(B): ...\n",
            id="a handler class",
        ),
        pytest.param(
            "from otel import instrument\n\napp = instrument(1)\n",
            "from otel import instrument\nfrom lib.kairo_metrics import instrument as kairo_instrument\n\n"
            "app = instrument(1)\napp = kairo_instrument(app)\n",
            id="a name that is taken",
        ),
    ],
)
def test_only_the_line_and_its_import_are_added(tmp_path: Path, before: str, after: str) -> None:
    """Everything else of the file stays as it was, and the result is valid Python."""
    found = edited(tmp_path, before)
    assert found == after
    ast.parse(found)
    # A second look finds it measured.
    (tmp_path / "app.py").write_bytes(found.encode())
    app = app_in(tmp_path, Path("app.py"))
    assert app is not None
    assert app.measured


def test_the_page_can_be_served_by_the_app(tmp_path: Path) -> None:
    """A project of one app serves the page itself."""
    found = edited(tmp_path, "from flask import Flask\napp = Flask(__name__)\n", "/api/metrics")
    assert found is not None
    assert 'app = instrument(app, metrics_path="/api/metrics")\n' in found
    (tmp_path / "app.py").write_text(found)
    app = app_in(tmp_path, Path("app.py"))
    assert app is not None
    assert app.page


def test_a_function_for_events_gets_a_decorator(tmp_path: Path) -> None:
    """A Lambda function that takes no HTTP requests is measured as a function."""
    found = edited(tmp_path, "import json\n\n\ndef lambda_handler(event, context): ...\n", name="lambda_handler")
    assert found == (
        "import json\nfrom lib.kairo_metrics import measured\n\n\n@measured\ndef lambda_handler(event, context): ...\n"
    )


def test_another_encoding_is_kept(tmp_path: Path) -> None:
    """A file that declares an encoding is read in it."""
    (tmp_path / "app.py").write_bytes("# coding: latin-1\napp = object()  # Grüße\n".encode("latin-1"))
    app = app_in(tmp_path, Path("app.py"))
    assert app is not None
    found = measured_text(app, "kairo_metrics")
    assert found is not None
    assert "Grüße" in found
    assert app.file.encoding == "iso-8859-1"
