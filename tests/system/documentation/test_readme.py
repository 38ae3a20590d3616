"""The README: short, and each of its blocks works as it stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.support.dev_server import REPOSITORY
from tests.system.documentation.test_start import blocks

PAGE = (REPOSITORY / "README.md").read_text()
MOST_WORDS = 700
MAKEFILE = (REPOSITORY / "Makefile").read_text()


def own(language: str) -> list[str]:
    """Return the README's blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_it_is_read_in_three_minutes() -> None:
    """The README has 700 words at most."""
    assert len(PAGE.split()) <= MOST_WORDS


def test_its_app_is_the_one_that_is_run() -> None:
    """The ten lines are those of the start page, where a test runs them with FastAPI."""
    app, counter = own("python")
    assert app in blocks("FastAPI", "python")
    assert counter.startswith("from prometheus_client import Counter\n")


def test_its_counter_counts() -> None:
    """The lines about one's own metrics run, and the counter has one more."""
    shown = "from prometheus_client import generate_latest\nprint(generate_latest().decode())\n"
    ran = subprocess.run([sys.executable, "-c", own("python")[1] + shown], capture_output=True, text=True, check=True)
    assert 'content_published_total{kind="first"} 1.0\n' in ran.stdout


def test_its_commands_exist() -> None:
    """Each target of make that it names is in the Makefile."""
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", PAGE, re.MULTILINE))
    assert named >= {"run", "test", "demo", "docs"}
    assert {target for target in named if not re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)} == set()


def test_init_shows_what_it_would_change(tmp_path: Path) -> None:
    """The command for the reader's project shows the lines to add; without a terminal to ask in, it writes nothing."""
    shop = tmp_path / "my-shop"
    shop.mkdir()
    app = "from fastapi import FastAPI\n\napp = FastAPI()\n"
    (shop / "app.py").write_text(app)
    (shop / "requirements.txt").write_text("fastapi\n")
    [command] = [line for block in own("bash") for line in block.splitlines() if " init " in line]
    words = [sys.executable, *shlex.split(command.replace("../my-shop", str(shop)))[1:]]
    ran = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert "instrument" in ran.stdout
    assert (shop / "app.py").read_text() == app
