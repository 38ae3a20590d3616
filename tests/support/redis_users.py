"""The Redis users that docs/redis.md tells an operator to create, with their rights."""

from __future__ import annotations

import re

from tests.support.dev_server import REPOSITORY

LINES = re.findall(
    r"^ACL SETUSER (\S+) (reset on >PASSWORD .+)$", (REPOSITORY / "docs/redis.md").read_text(), re.MULTILINE
)


RULES = {user: rules.split() for user, rules in LINES}
