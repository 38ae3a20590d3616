"""Which tokens open the endpoint while the place that keeps them rotates, fails and comes back."""

from __future__ import annotations

import asyncio
import threading

import pytest

from lib.kairo_metrics import TokenSourceError
from lib.kairo_metrics.endpoints.token_cache import TokenCache
from tests.support.recording import Recording

PATIENCE_S = 30
PAUSE_S = 30
LONGEST_TRUST_S = 300


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Vault:
    """A token source that counts how often it is read, and that can fail or hang."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = tokens
        self.error: BaseException | None = None
        self.reads = 0
        self.open = threading.Event()
        self.open.set()

    def read(self) -> tuple[str, ...]:
        self.reads += 1
        assert self.open.wait(60)
        if self.error:
            raise self.error
        return self.tokens


@pytest.fixture
def clock() -> Clock:
    """Give a clock."""
    return Clock()


def cache_of(vault: Vault, clock: Clock) -> TokenCache:
    """Build a token cache on a vault."""
    return TokenCache(source=vault, clocks=(clock, clock))


async def admits(cache: TokenCache, token: str, patience_s: float = PATIENCE_S) -> bool:
    """Present a token."""
    return await cache.admits([f"Bearer {token}".encode()], patience_s)


async def test_tokens_of_the_settings_need_no_source() -> None:
    """Without a source the configured tokens open, and nothing else."""
    cache = TokenCache(["new", "old"])
    assert [await admits(cache, token) for token in ("new", "old", "other")] == [True, True, False]


async def test_without_any_token_every_request_is_refused() -> None:
    """Without a token and a source, the error names what is missing."""
    with pytest.raises(TokenSourceError, match="no token is configured: set METRICS_AUTH_TOKEN"):
        await admits(TokenCache(), "x")


async def test_known_tokens_are_cached(clock: Clock) -> None:
    """Scrape after scrape costs one question to the source."""
    vault = Vault("current", "previous")
    cache = cache_of(vault, clock)
    for _ in range(100):
        assert await admits(cache, "current")
        assert await admits(cache, "previous")
    assert vault.reads == 1


async def test_a_rotation_needs_no_deploy(clock: Clock) -> None:
    """A token that is new since the last look opens at once, and the one before it still does."""
    vault = Vault("first")
    cache = cache_of(vault, clock)
    assert await admits(cache, "first")
    clock.now += PAUSE_S
    vault.tokens = ("second", "first")
    assert await admits(cache, "first")
    assert vault.reads == 1
    assert await admits(cache, "second")
    assert await admits(cache, "first")
    assert vault.reads == 2


async def test_wrong_tokens_do_not_hammer_the_source(clock: Clock) -> None:
    """A thousand wrong tokens cause one read in thirty seconds, and none is accepted."""
    vault = Vault("right")
    cache = cache_of(vault, clock)
    for reads in (1, 2, 3):
        assert not any([await admits(cache, f"guess {number}") for number in range(1_000)])
        assert vault.reads == reads
        clock.now += PAUSE_S - 0.001
        assert not await admits(cache, "guess")
        assert vault.reads == reads
        clock.now += 0.001


async def test_requests_that_miss_together_ask_once(clock: Clock) -> None:
    """Fifty requests at once wait for the same answer, and it decides on each of them."""
    vault = Vault("right")
    vault.open.clear()
    cache = cache_of(vault, clock)
    waiting = [asyncio.ensure_future(admits(cache, "right" if number % 2 else "wrong")) for number in range(50)]
    await asyncio.sleep(0)
    vault.open.set()
    assert await asyncio.gather(*waiting) == [bool(number % 2) for number in range(50)]
    assert vault.reads == 1


async def test_a_request_that_gives_up_does_not_end_the_question_for_others(clock: Clock) -> None:
    """If a client disconnects while the source is read, the other requests still get the answer."""
    vault = Vault("right")
    vault.open.clear()
    cache = cache_of(vault, clock)
    leaving, staying = (asyncio.ensure_future(admits(cache, "right")) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    vault.open.set()
    assert await staying
    assert vault.reads == 1


@pytest.mark.parametrize("headers", [[], [b""], [b"Bearer"], [b"Bearer  "], [b"Basic eDp4"], [b"Bearer x"] * 2])
async def test_requests_without_a_token_do_not_reach_the_source(clock: Clock, headers: list[bytes]) -> None:
    """A request without a bearer token is refused without a read of the source."""
    vault = Vault("right")
    cache = cache_of(vault, clock)
    assert not await cache.admits(headers, PATIENCE_S)
    assert vault.reads == 0


async def test_an_outage_keeps_the_last_known_tokens(
    clock: Clock, recording: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    """Scrapes go on during an outage of the source; the log and the page show it, and it is read again later."""
    vault = Vault("right")
    cache = cache_of(vault, clock)
    assert await admits(cache, "right")
    vault.error = TokenSourceError("AWS is away", "AWS is away, details")
    for _ in range(10):
        clock.now += LONGEST_TRUST_S
        assert await admits(cache, "right")
        assert not await admits(cache, "wrong")
    assert vault.reads == 11
    logged = "the metrics token could not be read, the last known tokens stay good: AWS is away, details"
    assert caplog.messages == [logged] * 10
    vault.error, vault.tokens = None, ("successor",)
    clock.now += PAUSE_S
    assert await admits(cache, "successor")
    assert not await admits(cache, "right")
    assert await recording.samples("kairo_token_reads_total") == {
        'kairo_token_reads_total{outcome="done"}': 2,
        'kairo_token_reads_total{outcome="failed"}': 10,
    }


async def test_until_the_first_answer_every_token_is_refused(clock: Clock) -> None:
    """Until the source answers for the first time, every token is refused, with the reason."""
    vault = Vault("right")
    vault.error = TokenSourceError("AWS is away", "the details are not for strangers")
    cache = cache_of(vault, clock)
    for _ in range(3):
        with pytest.raises(TokenSourceError, match=r"^AWS is away$"):
            await admits(cache, "right")
    assert vault.reads == 1
    vault.error = None
    clock.now += PAUSE_S
    assert await admits(cache, "right")


async def test_an_answer_that_there_is_no_token_is_obeyed(clock: Clock) -> None:
    """After a secret was deleted, the tokens that were good before are refused."""
    vault = Vault("right")
    cache = cache_of(vault, clock)
    assert await admits(cache, "right")
    vault.error = TokenSourceError("it was deleted", final=True)
    clock.now += LONGEST_TRUST_S
    with pytest.raises(TokenSourceError, match="it was deleted"):
        await admits(cache, "right")


async def test_a_withdrawn_token_is_refused_without_its_successor(clock: Clock) -> None:
    """A leaked token that was replaced twice is refused after five minutes, even if no new one is presented."""
    vault = Vault("leaked")
    cache = cache_of(vault, clock)
    assert await admits(cache, "leaked")
    vault.tokens = ("newest", "newer")
    clock.now += LONGEST_TRUST_S - 0.001
    assert await admits(cache, "leaked")
    clock.now += 0.001
    assert not await admits(cache, "leaked")


async def test_a_source_that_hangs_is_waited_for_in_bounds(clock: Clock) -> None:
    """A request waits as long as it may and fails with the reason; the next one uses the answer once it is there."""
    vault = Vault("right")
    vault.open.clear()
    cache = cache_of(vault, clock)
    for _ in range(2):
        with pytest.raises(TokenSourceError, match="has not answered yet"):
            await admits(cache, "right", 0.01)
        clock.now += PAUSE_S  # and yet there is no second question while the first one is open
    vault.open.set()
    assert await admits(cache, "right")
    assert vault.reads == 1


async def test_a_source_that_hangs_does_not_stop_scrapes_with_a_known_token(clock: Clock) -> None:
    """Once the request has waited its share, the known token opens."""
    vault = Vault("right")
    cache = cache_of(vault, clock)
    assert await admits(cache, "right")
    vault.open.clear()
    clock.now += LONGEST_TRUST_S
    assert await admits(cache, "right", 0.01)
    reading = cache._reading
    vault.open.set()
    assert reading is not None
    await asyncio.wrap_future(reading)  # else a later test would see it counted


async def test_time_spent_frozen_counts(clock: Clock) -> None:
    """An instance that was frozen between two requests notices by the wall clock how old its tokens are."""
    vault = Vault("right")
    cache = TokenCache(source=vault, clocks=(lambda: 0.0, clock))
    assert await admits(cache, "right")
    vault.tokens = ("successor",)
    clock.now += LONGEST_TRUST_S
    assert not await admits(cache, "right")


async def test_a_cache_shows_no_token(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """Neither its repr, nor its state, nor the log holds a token."""
    vault = Vault("hush")
    cache = cache_of(vault, clock)
    assert await admits(cache, "hush")
    assert not await admits(cache, "psst")
    shown = f"{cache!r} {[value for name, value in vars(cache).items() if name != '_source']} {vars(cache._auth)}"
    assert "hush" not in shown + caplog.text
    assert "psst" not in shown + caplog.text


class _Strange(BaseException):
    """An error that is no `Exception`."""


@pytest.mark.parametrize("error", [KeyError("hush"), RuntimeError("hush"), _Strange("hush"), SystemExit("hush")])
async def test_an_unexpected_error_of_the_source_is_counted_and_keeps_the_known_tokens(
    clock: Clock, recording: Recording, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """Scrapes go on with the known token; the error is counted each time, logged once, and never with its message."""
    vault = Vault("right")
    cache = cache_of(vault, clock)
    assert await admits(cache, "right")
    vault.error = error
    for _ in range(3):
        clock.now += LONGEST_TRUST_S
        assert await admits(cache, "right")
        assert not await admits(cache, "wrong")  # within the pause: the source is not read again
    assert vault.reads == 4
    assert await recording.samples("kairo_token_reads_total") == {
        'kairo_token_reads_total{outcome="done"}': 1,
        'kairo_token_reads_total{outcome="failed"}': 3,
    }
    [message] = caplog.messages
    assert message.startswith(
        f"the metrics token could not be read, the last known tokens stay good: {type(error).__qualname__} in read ("
    )
    assert "hush" not in caplog.text
    vault.error, vault.tokens = None, ("successor",)
    clock.now += PAUSE_S
    assert await admits(cache, "successor")


async def test_an_unexpected_error_releases_every_request_that_waits(clock: Clock) -> None:
    """Requests that wait for the first read get their answer at once, and a later one may read again."""
    vault = Vault("right")
    vault.error = _Strange("hush")
    vault.open.clear()
    cache = cache_of(vault, clock)
    waiting = [asyncio.ensure_future(admits(cache, "right")) for _ in range(5)]
    await asyncio.sleep(0)
    vault.open.set()
    async with asyncio.timeout(PATIENCE_S / 2):
        found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(error) for error in found] == ["the token could not be read"] * 5
    vault.error = None
    clock.now += PAUSE_S
    assert await admits(cache, "right")
    assert vault.reads == 2


async def test_an_answer_that_holds_no_tokens_is_an_error_like_any_other(clock: Clock, recording: Recording) -> None:
    """A source that returns something else does not take the known tokens away."""
    vault = Vault("right")
    cache = cache_of(vault, clock)
    assert await admits(cache, "right")
    vault.tokens = None  # type: ignore[assignment]
    clock.now += LONGEST_TRUST_S
    assert await admits(cache, "right")
    assert (await recording.samples("kairo_token_reads_total"))['kairo_token_reads_total{outcome="failed"}'] == 1


async def test_a_process_without_threads_to_spare_is_an_error_like_any_other(
    clock: Clock, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read that can not start is counted, and the next request after the pause tries again."""
    cache = cache_of(Vault("right"), clock)
    start = threading.Thread.start

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    for _ in range(2):
        with pytest.raises(TokenSourceError, match="the token could not be read"):
            await admits(cache, "right")
    monkeypatch.setattr(threading.Thread, "start", start)
    assert (await recording.samples("kairo_token_reads_total"))['kairo_token_reads_total{outcome="failed"}'] == 1
    clock.now += PAUSE_S
    assert await admits(cache, "right")
