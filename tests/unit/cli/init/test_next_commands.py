"""The commands that `init` prints at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.kairo_metrics.cli.init.next_commands import next_commands
from lib.kairo_metrics.cli.init.plan import make_plan

FLASK = "from flask import Flask\napp = Flask(__name__)\n"
LAMBDA = "Resources:\n  Shop:\n    Type: AWS::Serverless::Function\n    Properties:\n      Handler: app.app\n"


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"app.py": FLASK}, "vercel deploy --prod"),
        ({"app.py": FLASK, "template.yaml": LAMBDA}, "sam build && sam deploy"),
        ({"app.py": FLASK, "Procfile": "web: gunicorn app:app\n"}, "export ENABLE_METRICS=true"),
    ],
)
def test_they_are_those_of_the_host(tmp_path: Path, files: dict[str, str], command: str) -> None:
    """Each host has its own way to set a variable; the page is asked for at the end."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    steps = next_commands(make_plan(tmp_path))
    assert any(step.startswith(command) for step in steps)
    assert steps[-1] == 'curl https://<domain>/api/metrics -H "Authorization: Bearer <the token>"'
