"""What can go wrong, as one tree.

KairoError
├── SettingsError            a setting is missing or malformed; names the variable
├── TokenSourceError         the accepted tokens could not be read from where they are kept
├── ReceiverError            the remote-write receiver did not take what was pushed
├── HostingError             the functions of api/ can't be served
├── DevError                 the dev server can't start or go on
└── StoreError               the state in Redis could not be reached or read
    ├── StoreUnavailable     refused, cut off, too slow, or not configured
    ├── KeysElsewhere        another node of the cluster holds the keys; nothing was run
    ├── UnknownScript        the server has forgotten the script; send it again
    └── StoreRefused         the server answered the command with an error
"""

from __future__ import annotations

__all__ = [
    "DevError",
    "HostingError",
    "KairoError",
    "KeysElsewhere",
    "ReceiverError",
    "SettingsError",
    "StoreError",
    "StoreRefused",
    "StoreUnavailable",
    "TokenSourceError",
    "UnknownScript",
]


class KairoError(Exception):
    """Base of every error that this package raises on purpose."""


class SettingsError(KairoError, ValueError):
    """A setting is missing or malformed.

    Args:
        variable: the environment variable to correct.
        reason: what is wrong with it and what it takes, without the value where that is a secret.

    Example:
        >>> str(SettingsError("METRICS_SHARDS", "must be a whole number from 1 to 1024, not 'many'"))
        "METRICS_SHARDS must be a whole number from 1 to 1024, not 'many'"
    """

    def __init__(self, variable: str, reason: str) -> None:
        super().__init__(f"{variable} {reason}")
        self.variable = variable
        self.reason = reason

    def __reduce__(self) -> tuple[type[SettingsError], tuple[str, str]]:
        """Rebuild from both parts, so that the error survives a process boundary."""
        return type(self), (self.variable, self.reason)


class TokenSourceError(KairoError):
    """The accepted tokens could not be read from where they are kept.

    Args:
        reason: one sentence for whoever asks, so without names of the account.
        detail: the same for the log, with names, and without any token.
        final: whether that place has answered that there is no token, so that what was known is no longer good.
    """

    def __init__(self, reason: str, detail: str = "", *, final: bool = False) -> None:
        super().__init__(reason)
        self.detail = detail or reason
        self.final = final


class ReceiverError(KairoError):
    """The remote-write receiver did not take what was pushed.

    Args:
        reason: one sentence, without the login.
        final: whether it has said no, so that the same would be refused again.
    """

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class HostingError(KairoError):
    """The functions of `api/` can't be served. The sentence says what to do about it."""


class DevError(KairoError):
    """The dev server can't start or go on. The sentence says what to do about it."""


class StoreError(KairoError):
    """The state in Redis could not be reached or read."""


class StoreUnavailable(StoreError):
    """The store refused the connection, cut it or outlasted the call.

    Args:
        reason: one sentence, without the address's password.
        sent: whether the server may have run what was asked of it.
        broken: whether the connection was cut, so that a new one may do.
    """

    def __init__(self, reason: str, *, sent: bool = False, broken: bool = False) -> None:
        super().__init__(reason)
        self.sent = sent
        self.broken = broken


class KeysElsewhere(StoreError):
    """Another node of the Redis Cluster holds the keys (MOVED, ASK); nothing was run.

    Args:
        reason: what the node said.
        slot: the hash slot of the keys.
        host: the other node's; empty where it is that of the node which answered.
        port: the other node's.
        asking: whether this holds for one command alone, while the slot is on its way there.

    Attributes:
        sent: whether the command was sent before as well, without an answer.

    Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
    """

    def __init__(self, reason: str, slot: int, host: str, port: int, *, asking: bool) -> None:
        super().__init__(reason)
        self.slot = slot
        self.host = host
        self.port = port
        self.asking = asking
        self.sent = False


class UnknownScript(StoreError):
    """The server does not hold the script that EVALSHA named (NOSCRIPT); nothing was run.

    Attributes:
        sent: whether the command was sent before as well, without an answer.
    """

    sent = False


class StoreRefused(StoreError):
    """The server answered a command with an error; nothing was written by it."""
