"""The errors of this package, as one tree.

KairoError
├── SettingsError            a setting is missing or malformed; names the variable
├── TokenSourceError         the accepted tokens could not be read from AWS or another token source
├── ReceiverError            the receiver did not accept a push
├── LifespanError            an app's startup or shutdown failed
├── EventError               a Lambda function for HTTP requests got another kind of event
├── HostingError             the functions in api/ can't be served
├── DevError                 the dev server can't start or continue
└── StoreError               the state in Redis could not be reached or read
    ├── StoreUnavailable     Redis refused or closed the connection, was too slow, or is not configured
    ├── KeysElsewhere        another node of the cluster holds the keys; nothing was run
    ├── UnknownScript        the server does not hold the script; it has to be sent again
    └── StoreRefused         the server answered the command with an error
"""

from __future__ import annotations

__all__ = [
    "DevError",
    "EventError",
    "HostingError",
    "KairoError",
    "KeysElsewhere",
    "LifespanError",
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
        reason: what is wrong and which values are valid, without any part of the value: anybody may read it.
        given: the rest of the sentence, with what was given; for the command line, and empty for a secret.

    Example:
        >>> err = SettingsError("METRICS_SHARDS", "must be a whole number from 1 to 1024", ", not 'many'")
        >>> str(err)
        "METRICS_SHARDS must be a whole number from 1 to 1024, not 'many'"
        >>> err.public_text
        'METRICS_SHARDS must be a whole number from 1 to 1024'
    """

    def __init__(self, variable: str, reason: str, given: str = "") -> None:
        super().__init__(f"{variable} {reason}{given}")
        self.variable = variable
        self.reason = reason
        self.given = given

    @property
    def public_text(self) -> str:
        """The sentence for the log and for anybody who asks for the page."""
        return f"{self.variable} {self.reason}"

    def __reduce__(self) -> tuple[type[SettingsError], tuple[str, str, str]]:
        """Rebuild from all parts, so that the error survives a process boundary."""
        return type(self), (self.variable, self.reason, self.given)


class TokenSourceError(KairoError):
    """The accepted tokens could not be read from the token source.

    Args:
        reason: one sentence for the client, without names from the AWS account.
        detail: the same sentence for the log, with those names and without any token.
        final: whether the source answered that there is no token, so that tokens read earlier are no longer valid.
    """

    def __init__(self, reason: str, detail: str = "", *, final: bool = False) -> None:
        super().__init__(reason)
        self.detail = detail or reason
        self.final = final


class ReceiverError(KairoError):
    """The receiver did not accept a push.

    Args:
        reason: one sentence, without the login.
        final: whether the receiver would refuse the same push again.
        status: the HTTP status of a refusal that may be about the body; 0 if it is about the login, the address or
            the protocol.
    """

    def __init__(self, reason: str, *, final: bool = False, status: int = 0) -> None:
        super().__init__(reason)
        self.final = final
        self.status = status


class LifespanError(KairoError):
    """An app's startup or shutdown failed. The message holds what the app reported, such as its traceback."""


class EventError(KairoError, TypeError):
    """A Lambda function for HTTP requests got another kind of event. The message has nothing of the event's content."""


class HostingError(KairoError):
    """The functions in `api/` can't be served. The message says what to do."""


class DevError(KairoError):
    """The dev server can't start or continue. The message says what to do."""


class StoreError(KairoError):
    """The state in Redis could not be reached or read."""


class StoreUnavailable(StoreError):
    """The store refused or closed the connection, or did not answer in time.

    Args:
        reason: one sentence, without the password in the address.
        sent: whether the server may have run the command.
        broken: whether the connection was closed, so that the command may succeed on a new connection.
    """

    def __init__(self, reason: str, *, sent: bool = False, broken: bool = False) -> None:
        super().__init__(reason)
        self.sent = sent
        self.broken = broken


class KeysElsewhere(StoreError):
    """Another node of the Redis Cluster holds the keys (MOVED, ASK); nothing was run.

    Args:
        reason: the node's reply.
        slot: the hash slot of the keys.
        host: the host of the other node; empty if it is the host of the node that replied.
        port: the port of the other node.
        asking: whether the redirect is for this command alone, because the slot is being moved (ASK).

    Attributes:
        sent: whether the command was sent once before and got no reply.

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
        sent: whether the command was sent once before and got no reply.
    """

    sent = False


class StoreRefused(StoreError):
    """The server answered a command with an error; the command wrote nothing."""
