"""The users that docs/redis.md gives an operator to paste, right by right."""

from __future__ import annotations

import re

from tests.support.dev_server import REPOSITORY

LINES = re.findall(
    r"^ACL SETUSER (\S+) (reset on >PASSWORD .+)$", (REPOSITORY / "docs/redis.md").read_text(), re.MULTILINE
)


RULES = {user: rules.split() for user, rules in LINES}
