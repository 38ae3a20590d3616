"""The HTTP client of a remote-write receiver: login, time limit, retries."""

from __future__ import annotations

import base64
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from ..config.push_settings import PushSettings
from ..errors import ReceiverError
from ..exposition.remote_write import HEADERS

__all__ = ["RemoteWriteClient"]

_FIRST_PAUSE_S = 0.5
_TOO_MANY_REQUESTS = 429
_SERVER_ERRORS = 500
# Answers about the login or the address: no other body would change them.
_NOT_ABOUT_THE_BODY = frozenset({401, 404, 405, 407})
# Of the reason that a receiver gives for a refusal: letters that are shown, and bytes that are read.
_LONGEST_REASON = 300
_LONGEST_READ = 8_192
# A shorter secret would be found, and replaced, in ordinary words.
_SHORTEST_SECRET = 4


class RemoteWriteClient:
    """Sends bodies to a receiver until it has accepted them, has refused them or the time is up.

    A retry sends the same body. So a receiver whose answer was lost gets the same samples again, and nothing counts
    twice.

    Args:
        settings: its address and login.
        sleep: waits this many seconds between two attempts.

    Source: https://prometheus.io/docs/specs/prw/remote_write_spec/, "Retries & Backoff"

    Example:
        >>> receiver = RemoteWriteClient(PushSettings(url="https://prometheus.example.org/api/v1/write", token="t"))
        >>> receiver.host
        'prometheus.example.org'
    """

    def __init__(self, settings: PushSettings, sleep: Callable[[float], None] = time.sleep) -> None:
        self._url = settings.url or ""
        self.host = urlsplit(self._url).hostname or ""
        login = _login(settings)
        self._headers = {**HEADERS, "User-Agent": "kairo-metrics", **login}
        secrets = [settings.password, settings.token, *(value.partition(" ")[2] for value in login.values())]
        found = {secret for secret in secrets if secret and len(secret) >= _SHORTEST_SECRET}
        self._secrets = sorted(found, key=len, reverse=True)
        self._sleep = sleep
        self._not_before_s = 0.0
        self._opener = _opener()

    def send(self, body: bytes, deadline_s: float) -> None:
        """Send one body, blocking.

        Args:
            body: a body from `write_requests`.
            deadline_s: when to give up, by `time.monotonic`.

        Raises:
            ReceiverError: it was refused, or not accepted in time.
        """
        if self._not_before_s:  # the receiver asked for this pause when another body was sent
            asked_s, self._not_before_s = self._not_before_s - time.monotonic(), 0.0
            self._sleep(max(0.0, asked_s))
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return self._attempt(body, deadline_s - time.monotonic())
            except _TryAgainError as err:
                wait_s = max(pause_s, err.asked_s)
                now_s = time.monotonic()
                if now_s + wait_s >= deadline_s:
                    self._not_before_s = now_s + err.asked_s if err.asked_s > 0 else 0.0
                    raise ReceiverError(str(err)) from err
                self._sleep(wait_s)
                pause_s *= 2

    def asks_to_wait(self, deadline_s: float) -> bool:
        """Tell whether the receiver has asked for a pause that ends after this time, by `time.monotonic`."""
        return self._not_before_s >= deadline_s

    def _attempt(self, body: bytes, patience_s: float) -> None:
        """Send the body once, within this many seconds.

        A socket's time limit starts again with each byte, and a name lookup has none. So a thread sends the request. It
        is left running if it takes too long.
        """
        if patience_s <= 0:
            raise ReceiverError(f"{self.host} has not taken everything in time")
        answer: Future[None] = Future()
        threading.Thread(target=self._send_into, args=(answer, body, patience_s), daemon=True).start()
        try:
            answer.result(patience_s)
        except TimeoutError:
            raise ReceiverError(f"{self.host} has not answered in time") from None

    def _send_into(self, answer: Future[None], body: bytes, patience_s: float) -> None:
        try:
            self._post(body, patience_s)
        except BaseException as err:  # noqa: BLE001 - `answer.result` raises it again
            answer.set_exception(err)
        else:
            answer.set_result(None)

    def _post(self, body: bytes, patience_s: float) -> None:
        request = Request(self._url, body, self._headers, method="POST")  # noqa: S310 - PushSettings takes HTTP alone
        try:
            with self._opener.open(request, timeout=patience_s):
                return
        except HTTPError as err:
            with err:
                reason = f"{self.host} answered {err.code}: {self._without_login(_reason(err))}"
            if err.code == _TOO_MANY_REQUESTS or err.code >= _SERVER_ERRORS:
                raise _TryAgainError(reason, _asked_pause_s(err.headers)) from err
            about_body = err.code >= 400 and err.code not in _NOT_ABOUT_THE_BODY  # noqa: PLR2004 - else a redirect
            raise ReceiverError(reason, final=True, status=err.code if about_body else 0) from err
        except (OSError, HTTPException) as err:
            cause = err.reason if isinstance(err, URLError) else err
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise ReceiverError(
                    f"{self.host} has no valid certificate: {cause.verify_message}", final=True
                ) from err
            raise _TryAgainError(
                f"{self.host} could not be reached: {_printable(str(cause)) or type(cause).__name__}"
            ) from err

    def _without_login(self, reason: str) -> str:
        """Take out the login, which some receivers repeat when they refuse it."""
        for secret in self._secrets:
            reason = reason.replace(secret, "***")
        return reason[:_LONGEST_REASON]


class _TryAgainError(Exception):
    """This attempt has failed, and another one may succeed."""

    def __init__(self, reason: str, asked_s: float = 0) -> None:
        super().__init__(reason)
        self.asked_s = asked_s


def _opener() -> OpenerDirector:
    """Build an HTTP client that treats a redirect as an error.

    The login is only for the host in the settings, and a redirect would turn the POST into a GET.
    """
    opener = OpenerDirector()
    for handler in (ProxyHandler, HTTPHandler, HTTPSHandler, HTTPErrorProcessor, HTTPDefaultErrorHandler):
        opener.add_handler(handler())
    return opener


def _login(settings: PushSettings) -> dict[str, str]:
    if settings.token:
        return {"Authorization": f"Bearer {settings.token}"}
    if settings.username:
        pair = base64.b64encode(f"{settings.username}:{settings.password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}
    return {}


def _reason(err: HTTPError) -> str:
    """Return the first line of the receiver's answer, or the text of the status."""
    if 300 <= err.code < 400:  # noqa: PLR2004 - redirects
        return f"a redirect to {_printable(err.headers.get('Location', 'nowhere'))}; name the final address"
    try:
        # More than is shown, so that a login at the end is read whole, and found.
        body = err.read1(_LONGEST_READ).decode(errors="replace").strip()
    except (OSError, HTTPException):
        body = ""
    return _printable(body.partition("\n")[0] or str(err.reason))


def _printable(text: str) -> str:
    """Replace control characters, which a terminal would obey, by spaces."""
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()


def _asked_pause_s(headers: Message) -> float:
    """Read `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3)."""
    asked = headers.get("Retry-After", "")
    if asked.isascii() and asked.isdigit():
        return float(asked[:9])
    try:
        return (parsedate_to_datetime(asked) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):
        return 0
