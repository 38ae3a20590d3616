"""The memory store and the script do the same, so what is tested with one holds for the other."""

from __future__ import annotations

import pytest
import redis
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings

from tests.support.examples import examples
from tests.support.random_batches import COUNTER, DOINGS, Doing, Evicted, Sent
from tests.support.store_pair import StorePair

pytestmark = pytest.mark.slow

FULL_AND_REMOVED = [
    Sent("one", 1, ((COUNTER, tuple((f'queue="{queue}"', "1 1") for queue in "abcdef"), (), True),)),
    Sent("one", 1, ((COUNTER, (('queue="g"', "D 1 1"), ('queue="__overflow__"', "D")), (), True),)),
]


@given(doings=DOINGS)
@example(doings=FULL_AND_REMOVED)
@hypothesis_settings(max_examples=examples(75), deadline=None, suppress_health_check=list(HealthCheck))
def test_both_stores_answer_and_store_the_same(redis_server: str, doings: list[Doing]) -> None:
    """For random batches of all rules in any order, the verdicts and the stored lines are equal."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    pair = StorePair(redis_server)
    try:
        for doing in doings:
            pair.do(doing)
    finally:
        pair.close()


def test_a_difference_is_found(redis_url: str) -> None:
    """The comparison can fail: it finds one more increment in one of the two stores."""
    pair = StorePair(redis_url)
    try:
        sent = Sent("one", 1, ((COUNTER, (('queue="a"', "1 2"),), (), True),))
        pair.do(sent)
        pair.memory._shards[0].families[COUNTER.index_field].lines['queue="a"'].numbers[0] += 1
        with pytest.raises(AssertionError):
            pair.do(Evicted("two"))
    finally:
        pair.close()
