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


def keyring(vault: Vault, clock: Clock) -> TokenCache:
    """Build a keyring on a vault."""
    return TokenCache(source=vault, clocks=(clock, clock))


async def admits(ring: TokenCache, token: str, patience_s: float = PATIENCE_S) -> bool:
    """Present a token."""
    return await ring.admits([f"Bearer {token}".encode()], patience_s)


async def test_tokens_of_the_settings_need_no_source() -> None:
    """Without a source the configured tokens open, and nothing else."""
    ring = TokenCache(["new", "old"])
    assert [await admits(ring, token) for token in ("new", "old", "other")] == [True, True, False]


async def test_without_any_token_nobody_gets_in() -> None:
    """No token and no source is a door that says what is missing."""
    with pytest.raises(TokenSourceError, match="no token is configured: set METRICS_AUTH_TOKEN"):
        await admits(TokenCache(), "x")


async def test_known_tokens_are_cached(clock: Clock) -> None:
    """Scrape after scrape costs one question to the source."""
    vault = Vault("current", "previous")
    ring = keyring(vault, clock)
    for _ in range(100):
        assert await admits(ring, "current")
        assert await admits(ring, "previous")
    assert vault.reads == 1


async def test_a_rotation_needs_no_deploy(clock: Clock) -> None:
    """A token that is new since the last look opens at once, and the one before it still does."""
    vault = Vault("first")
    ring = keyring(vault, clock)
    assert await admits(ring, "first")
    clock.now += PAUSE_S
    vault.tokens = ("second", "first")
    assert await admits(ring, "first")
    assert vault.reads == 1
    assert await admits(ring, "second")
    assert await admits(ring, "first")
    assert vault.reads == 2


async def test_wrong_tokens_do_not_hammer_the_source(clock: Clock) -> None:
    """A thousand guesses ask the source once in thirty seconds, and none of them opens."""
    vault = Vault("right")
    ring = keyring(vault, clock)
    for reads in (1, 2, 3):
        assert not any([await admits(ring, f"guess {number}") for number in range(1_000)])
        assert vault.reads == reads
        clock.now += PAUSE_S - 0.001
        assert not await admits(ring, "guess")
        assert vault.reads == reads
        clock.now += 0.001


async def test_requests_that_miss_together_ask_once(clock: Clock) -> None:
    """Fifty requests at once wait for the same answer, and it decides on each of them."""
    vault = Vault("right")
    vault.open.clear()
    ring = keyring(vault, clock)
    waiting = [asyncio.ensure_future(admits(ring, "right" if number % 2 else "wrong")) for number in range(50)]
    await asyncio.sleep(0)
    vault.open.set()
    assert await asyncio.gather(*waiting) == [bool(number % 2) for number in range(50)]
    assert vault.reads == 1


async def test_a_request_that_gives_up_does_not_end_the_question_for_others(clock: Clock) -> None:
    """A client that hangs up while the source is asked costs nobody else the answer."""
    vault = Vault("right")
    vault.open.clear()
    ring = keyring(vault, clock)
    leaving, staying = (asyncio.ensure_future(admits(ring, "right")) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    vault.open.set()
    assert await staying
    assert vault.reads == 1


@pytest.mark.parametrize("headers", [[], [b""], [b"Bearer"], [b"Bearer  "], [b"Basic eDp4"], [b"Bearer x"] * 2])
async def test_requests_without_a_token_do_not_reach_the_source(clock: Clock, headers: list[bytes]) -> None:
    """Whoever sends no bearer token at all is turned away without a question."""
    vault = Vault("right")
    ring = keyring(vault, clock)
    assert not await ring.admits(headers, PATIENCE_S)
    assert vault.reads == 0


async def test_an_outage_keeps_the_last_known_tokens(
    clock: Clock, recording: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    """Scrapes go on while the source is away; the log and the page tell of it, and it is asked again later."""
    vault = Vault("right")
    ring = keyring(vault, clock)
    assert await admits(ring, "right")
    vault.error = TokenSourceError("AWS is away", "AWS is away, details")
    for _ in range(10):
        clock.now += LONGEST_TRUST_S
        assert await admits(ring, "right")
        assert not await admits(ring, "wrong")
    assert vault.reads == 11
    logged = "the metrics token could not be read, the last known tokens stay good: AWS is away, details"
    assert caplog.messages == [logged] * 10
    vault.error, vault.tokens = None, ("successor",)
    clock.now += PAUSE_S
    assert await admits(ring, "successor")
    assert not await admits(ring, "right")
    assert await recording.samples("kairo_token_reads_total") == {
        'kairo_token_reads_total{outcome="done"}': 2,
        'kairo_token_reads_total{outcome="failed"}': 10,
    }


async def test_without_a_first_answer_the_door_stays_closed(clock: Clock) -> None:
    """Tokens that were never read let nobody in, with the reason, until the source answers."""
    vault = Vault("right")
    vault.error = TokenSourceError("AWS is away", "the details are not for strangers")
    ring = keyring(vault, clock)
    for _ in range(3):
        with pytest.raises(TokenSourceError, match=r"^AWS is away$"):
            await admits(ring, "right")
    assert vault.reads == 1
    vault.error = None
    clock.now += PAUSE_S
    assert await admits(ring, "right")


async def test_an_answer_that_there_is_no_token_is_obeyed(clock: Clock) -> None:
    """A secret that was deleted closes the door for tokens that were good before."""
    vault = Vault("right")
    ring = keyring(vault, clock)
    assert await admits(ring, "right")
    vault.error = TokenSourceError("it was deleted", final=True)
    clock.now += LONGEST_TRUST_S
    with pytest.raises(TokenSourceError, match="it was deleted"):
        await admits(ring, "right")


async def test_a_withdrawn_token_stops_opening_without_its_successor(clock: Clock) -> None:
    """A leaked token that was rotated away twice is refused five minutes later, though nobody shows a new one."""
    vault = Vault("leaked")
    ring = keyring(vault, clock)
    assert await admits(ring, "leaked")
    vault.tokens = ("newest", "newer")
    clock.now += LONGEST_TRUST_S - 0.001
    assert await admits(ring, "leaked")
    clock.now += 0.001
    assert not await admits(ring, "leaked")


async def test_a_source_that_hangs_is_waited_for_in_bounds(clock: Clock) -> None:
    """A request waits as long as it may, is told why it fails, and profits from the answer once it comes."""
    vault = Vault("right")
    vault.open.clear()
    ring = keyring(vault, clock)
    for _ in range(2):
        with pytest.raises(TokenSourceError, match="has not answered yet"):
            await admits(ring, "right", 0.01)
        clock.now += PAUSE_S  # and yet there is no second question while the first one is open
    vault.open.set()
    assert await admits(ring, "right")
    assert vault.reads == 1


async def test_a_source_that_hangs_does_not_stop_scrapes_with_a_known_token(clock: Clock) -> None:
    """Once the request has waited its share, the known token opens."""
    vault = Vault("right")
    ring = keyring(vault, clock)
    assert await admits(ring, "right")
    vault.open.clear()
    clock.now += LONGEST_TRUST_S
    assert await admits(ring, "right", 0.01)
    vault.open.set()


async def test_time_spent_frozen_counts(clock: Clock) -> None:
    """An instance that was frozen between two requests notices by the wall clock how old its tokens are."""
    vault = Vault("right")
    ring = TokenCache(source=vault, clocks=(lambda: 0.0, clock))
    assert await admits(ring, "right")
    vault.tokens = ("successor",)
    clock.now += LONGEST_TRUST_S
    assert not await admits(ring, "right")


async def test_a_keyring_shows_no_token(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """Neither its repr, nor its state, nor the log holds a token."""
    vault = Vault("hush")
    ring = keyring(vault, clock)
    assert await admits(ring, "hush")
    assert not await admits(ring, "psst")
    shown = f"{ring!r} {[value for name, value in vars(ring).items() if name != '_source']} {vars(ring._auth)}"
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
    ring = keyring(vault, clock)
    assert await admits(ring, "right")
    vault.error = error
    for _ in range(3):
        clock.now += LONGEST_TRUST_S
        assert await admits(ring, "right")
        assert not await admits(ring, "wrong")  # within the pause: the source is not read again
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
    assert await admits(ring, "successor")


async def test_an_unexpected_error_releases_every_request_that_waits(clock: Clock) -> None:
    """Requests that wait for the first read get their answer at once, and a later one may read again."""
    vault = Vault("right")
    vault.error = _Strange("hush")
    vault.open.clear()
    ring = keyring(vault, clock)
    waiting = [asyncio.ensure_future(admits(ring, "right")) for _ in range(5)]
    await asyncio.sleep(0)
    vault.open.set()
    async with asyncio.timeout(PATIENCE_S / 2):
        found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(error) for error in found] == ["the token could not be read"] * 5
    vault.error = None
    clock.now += PAUSE_S
    assert await admits(ring, "right")
    assert vault.reads == 2


async def test_an_answer_that_holds_no_tokens_is_an_error_like_any_other(clock: Clock, recording: Recording) -> None:
    """A source that returns something else does not take the known tokens away."""
    vault = Vault("right")
    ring = keyring(vault, clock)
    assert await admits(ring, "right")
    vault.tokens = None  # type: ignore[assignment]
    clock.now += LONGEST_TRUST_S
    assert await admits(ring, "right")
    assert (await recording.samples("kairo_token_reads_total"))['kairo_token_reads_total{outcome="failed"}'] == 1


async def test_a_process_without_threads_to_spare_is_an_error_like_any_other(
    clock: Clock, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read that can not start is counted, and the next request after the pause tries again."""
    ring = keyring(Vault("right"), clock)
    start = threading.Thread.start

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    for _ in range(2):
        with pytest.raises(TokenSourceError, match="the token could not be read"):
            await admits(ring, "right")
    monkeypatch.setattr(threading.Thread, "start", start)
    assert (await recording.samples("kairo_token_reads_total"))['kairo_token_reads_total{outcome="failed"}'] == 1
    clock.now += PAUSE_S
    assert await admits(ring, "right")
