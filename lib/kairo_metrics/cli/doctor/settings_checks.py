"""Checks of the settings in this environment: variables, the switch and the tokens."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from ...config.environment import environment
from ...config.push_settings import PushSettings
from ...config.settings import Settings
from ...endpoints.token_sources import source_named_by
from ...errors import SettingsError, TokenSourceError
from .finding import Finding, fail, ok, warn
from .time_limit import within

__all__ = ["check_settings", "check_switch", "check_tokens", "problems"]

_MAKE_ONE = "make one with `openssl rand -hex 32`"
_SHORTEST = 32
# By a rough measure. 16 random bytes as hexadecimal digits, half of what is recommended, have about 110.
_FEWEST_BITS = 80
# During a rotation there are two.
_MOST_TOKENS = 2


def check_settings(environ: Mapping[str, str] | None = None) -> tuple[Settings | None, list[Finding]]:
    """Read the settings. If variables are wrong, return None for the settings, and a finding for each of them."""
    environ = environment() if environ is None else environ
    if found := problems(environ):
        return None, [
            fail("settings", str(err), f"correct {err.variable}, and deploy again: functions read it when they start")
            for err in found
        ]
    settings = Settings.from_env(environ)
    text = f"namespace {settings.namespace}, {settings.shards} shard{'s'[: settings.shards != 1]}"
    if zero_s := settings.new_series_zero_s:
        text += f"; the page shows a new series at 0 for {zero_s} s, so scrape more often than that"
    return settings, [ok("settings", text)]


def problems(environ: Mapping[str, str]) -> list[SettingsError]:
    """Return all errors in the settings of `environ`. Reading the settings stops at the first one.

    Example:
        >>> [err.variable for err in problems({"METRICS_SHARDS": "many", "METRICS_SERIES_TTL": "1.5"})]
        ['METRICS_SHARDS', 'METRICS_SERIES_TTL']
    """
    found: dict[str, SettingsError] = {}
    for read in (Settings.from_env, PushSettings.from_env):
        left = dict(environ)
        while True:
            try:
                read(left)
                break
            except SettingsError as err:
                found.setdefault(err.variable, err)
                # Without the wrong variable the next error is found. A missing variable can't be removed.
                if left.pop(err.variable, None) is None:
                    break
    return list(found.values())


def check_switch(settings: Settings) -> Finding:
    """Check whether metrics are on."""
    if settings.enabled:
        return ok("switch", "ENABLE_METRICS is on")
    return fail(
        "switch",
        "ENABLE_METRICS is not true: nothing is recorded, and the page is 404",
        "set ENABLE_METRICS=true in this environment, and deploy again",
    )


def check_tokens(settings: Settings, limit_s: float) -> Iterator[Finding]:
    """Check the tokens. No finding contains a token.

    Args:
        settings: the tokens, or where AWS keeps them.
        limit_s: seconds that AWS may take.
    """
    tokens = settings.auth_tokens
    if source := source_named_by(settings):
        variable = "METRICS_AUTH_TOKEN_SECRET_ID" if settings.auth_token_secret_id else "METRICS_AUTH_TOKEN_PARAMETER"
        try:
            tokens = within(limit_s, source.read)
        except TokenSourceError as err:
            yield fail("token-source", err.detail, f"correct {variable}, or let this role read it")
            return
        except TimeoutError:
            yield fail("token-source", f"AWS did not answer within {limit_s:g} s", "let this network reach AWS")
            return
        except Exception as err:  # noqa: BLE001  the message may hold the token
            yield fail("token-source", f"AWS could not be asked: {type(err).__qualname__}", f"correct {variable}")
            return
        yield ok("token-source", f"{variable} is readable, and holds {_tokens(tokens)}")
    elif not tokens:
        yield fail(
            "token",
            "no token is configured: every request for the page gets 503",
            f"{_MAKE_ONE} and set METRICS_AUTH_TOKEN, as a whole line without quotes",
        )
        return
    # A secret in AWS may be rotated to the same value, and then holds it twice.
    yield from _weaknesses(tokens, may_repeat=source is not None)


def _weaknesses(tokens: Sequence[str], *, may_repeat: bool) -> Iterator[Finding]:
    found = [finding for finding in map(_weakness, tokens) if finding is not None]
    if len(set(tokens)) < len(tokens) and not may_repeat:
        found.append(warn("token", "the same token is there twice", "remove one of them"))
    elif len(tokens) > _MOST_TOKENS:
        found.append(
            warn(
                "token",
                f"{len(tokens)} tokens are accepted",
                "end the rotation: remove the tokens that are not in use",
            )
        )
    yield from found or [ok("token", f"{_tokens(tokens)}, hard to guess")]


def _weakness(token: str) -> Finding | None:
    if not token.isascii() or not token.isprintable():
        return fail(
            "token", "a token has characters that a header may not have", f"{_MAKE_ONE}, and paste it as one line"
        )
    if " " in token:
        return warn("token", "a token has a space in it", f"look for two lines pasted as one; else {_MAKE_ONE}")
    if len(token) < _SHORTEST:
        return warn("token", f"a token has only {len(token)} characters", _MAKE_ONE)
    if guessing_bits(token) < _FEWEST_BITS:
        return warn("token", "a token is long, and yet easy to guess", _MAKE_ONE)
    return None


def guessing_bits(token: str) -> float:
    """Estimate how hard a token is to guess, by the distribution of its characters and by repetitions.

    Example:
        >>> guessing_bits("a" * 64) < 80 < guessing_bits("9f1c2ab47d6e803b5f7ac04e1d92b683")
        True
    """
    period = next(step for step in range(1, len(token) + 1) if token.startswith(token[step:]))
    counts = Counter(token).values()
    return period * -sum(count / len(token) * math.log2(count / len(token)) for count in counts)


def _tokens(tokens: Sequence[str]) -> str:
    return "one token" if len(tokens) == 1 else f"{len(tokens)} tokens"
