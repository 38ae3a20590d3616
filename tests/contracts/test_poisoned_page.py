"""With everything damaged at once, Prometheus' own parser still finds the page valid."""

from __future__ import annotations

import asyncio
import subprocess
import time

import pytest

from lib.kairo_metrics.exposition import text
from lib.kairo_metrics.scrape.collector import Limits, collect
from lib.kairo_metrics.store.keys import Keys
from tests.contracts.test_poisoned_index import CRAFTED, LATER
from tests.contracts.test_poisoned_lines import DAMAGE, UNPRINTABLE
from tests.support.poisoned import INDEX, TIMES, Poisoned, family_of, quarantined, times
from tests.support.prometheus_server import require

# The exit code of promtool when it only has advice about names and help texts, and no error.
ADVICE = 3


def poison(cms: Poisoned, turn: int) -> None:
    """Damage one line of each family, label texts, instances, exemplars and entries of the index."""
    for family, lines in DAMAGE.items():
        key = cms.key(family)
        [field, *_] = sorted(cms.client.hkeys(key))
        cms.client.hset(key, field, lines[turn % len(lines)] + TIMES)
    for field in (*UNPRINTABLE, b'queue="' + b"x" * 200_000 + b'"'):
        cms.client.hset(cms.key("jobs"), field, b"1" + TIMES)
    for name in (b"", b"__ended__", b'a\\"b', b"\xc3\xa9", b'x",instance_id="y'):
        cms.client.hset(cms.key("everybody"), b'instance_id="%b"' % name, b"3 1764000000000" + times())
    for key in cms.client.keys("kairo:v1:*:series:*"):
        if cms.is_of_exemplars(key):
            cms.client.hset(key, b'1 queue="a"', b'=1=a="%ff" 1764000000000' + TIMES)
    schema, now_ms = CRAFTED[turn % len(CRAFTED)], int(time.time() * 1000)
    cms.client.hset(INDEX, schema.index_field, f"{now_ms} {now_ms} {schema.metadata()}")
    labels = ",".join(f'{name}="1"' for name in schema.labelnames).encode(errors="replace")
    cms.client.hset(Keys("development", 0).series(schema).encode(errors="replace"), labels, b"1" + TIMES)
    cms.client.hset(INDEX, "later 00ff", f"{now_ms} {now_ms} {LATER[turn % len(LATER)]}")


def judged(page: bytes) -> subprocess.CompletedProcess[bytes]:
    """Run promtool on a page."""
    return subprocess.run([require("promtool"), "check", "metrics"], input=page, capture_output=True, check=False)


@pytest.mark.prometheus
def test_promtool_accepts_a_page_with_damage_of_every_kind(cms: Poisoned) -> None:
    """With all kinds of damage together the page is valid, and it names every family with damage."""
    for turn in range(max(map(len, DAMAGE.values()))):
        cms.client.flushall()
        cms.count()
        poison(cms, turn)
        scrape = asyncio.run(scraped(cms))
        checked = judged(scrape)
        assert checked.returncode in {0, ADVICE}, checked.stderr
        assert b"error while linting" not in checked.stderr
        lines = [line.rpartition(" ") for line in scrape.decode().splitlines() if not line.startswith("#")]
        samples = {series: value for series, _, value in lines}
        assert quarantined(samples).keys() >= {*DAMAGE, "everybody", ""}
        assert {family_of(series) for series in samples} >= {"jobs", "wait", "everybody"}


async def scraped(cms: Poisoned) -> bytes:
    """Return the page as a scraper without an Accept header gets it."""
    scrape = await collect(cms.store, Limits(3600))
    await cms.store.aclose()
    return b"".join(text.render(scrape.page.families))


@pytest.mark.prometheus
def test_promtool_refuses_a_broken_page() -> None:
    """The check can fail: an injected line, a repeated name or a malformed number is an error."""
    for page in (b'jobs_total{queue="a"b"} 1\n', b"# TYPE a counter\na 1\n# TYPE a counter\na 2\n", b"a 1_0\n"):
        assert judged(page).returncode not in {0, ADVICE}
