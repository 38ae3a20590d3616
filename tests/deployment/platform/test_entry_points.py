"""Vercel's own parser and the servers of this package choose the same name of a file."""

from __future__ import annotations

import ast
import json
import subprocess
from itertools import product
from pathlib import Path

import pytest

from lib.kairo_metrics.hosting.entry_point import entry_point_of
from tests.deployment.platform.vercel_tools import ToolMissing, find_tools

ASK = """
const { findAppOrHandler } = require(process.argv[1])
Promise.all(JSON.parse(require("fs").readFileSync(0)).map(findAppOrHandler)).then((names) =>
  console.log(JSON.stringify(names)))
"""
PARSER = Path(__file__).parent / "node_modules" / "@vercel" / "python-analysis"
NAMES = ("app", "application", "handler", "Handler", "App", "HANDLER")
FORMS = (
    "{} = 1",
    "{}: int = 1",
    "{}: int",
    "{} += 1",
    "other = {} = 1",
    "{}, other = 1, 2",
    "[{}] = [1]",
    "({} := 1)",
    "def {}(): ...",
    "async def {}(): ...",
    "@decorated\ndef {}(): ...",
    "class {}: ...",
    "class {}(Base): ...",
    "@decorated\nclass {}(Base): ...",
    "import {}",
    "import {}.inner",
    "import other as {}",
    "from other import {}",
    "from . import {}",
    "from other import first, second as {}",
    "from other import {} as other",
    "from {} import *",
    "if True:\n    {} = 1",
    "try:\n    {} = 1\nfinally:\n    pass",
    "with other as {}:\n    pass",
    "for {} in other:\n    pass",
    "def other():\n    {} = 1",
    "{}.other = 1",
    "{}['other'] = 1",
)


def test_the_name_is_the_one_that_vercel_finds() -> None:
    """A file serves the same app here and on Vercel, whichever way its names are written and in whichever order."""
    try:
        find_tools()
    except ToolMissing as err:
        pytest.skip(str(err))
    single = [form.format(name) for form, name in product(FORMS, NAMES)]
    two = ["app = 1", "application = 1", "class handler: ...", "class Handler: ...", "handler = 1"]
    sources = [*single, *(f"{first}\n{second}" for first, second in product(two, two))]
    ran = subprocess.run(
        ["node", "-e", ASK, str(PARSER)], input=json.dumps(sources), capture_output=True, text=True, check=True
    )
    theirs = dict(zip(sources, json.loads(ran.stdout), strict=True))
    ours = {source: entry_point_of(ast.parse(source)) for source in sources}
    assert ours == theirs
    assert len(set(ours.values())) == 5
