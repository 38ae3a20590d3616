"""The HTTP client of a receiver of pushes: login, time limit, retries."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException, responses
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

from ..errors import ReceiverError
from ..exposition.push_format import Body
from .logins import Login
from .page_push import Receipt
from .receiver_answers import Answer, Answers

__all__ = ["ReceiverClient"]

_FIRST_PAUSE_S = 0.5
# Answers about the login, the address or the protocol: no other body would change them.
_NOT_ABOUT_THE_BODY = frozenset({401, 404, 405, 407, 415})
# Of the reason that a receiver gives for a refusal: letters that are shown, and bytes that are read.
_LONGEST_REASON = 300
_LONGEST_READ = 8_192


class ReceiverClient:
    """Sends bodies to a receiver until it has accepted them, has refused them or the time is up.

    A retry sends the same body. So a receiver whose answer was lost gets the same samples again, and nothing counts
    twice.

    Args:
        url: its address.
        login: what shows it who sends.
        headers: those of the protocol, for every request.
        answers: reads its answers.
        sleep: waits this many seconds between two attempts.

    Source: https://prometheus.io/docs/specs/prw/remote_write_spec/, "Retries & Backoff"
    """

    def __init__(
        self,
        url: str,
        login: Login,
        headers: Mapping[str, str],
        answers: Answers,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = url
        self.host = urlsplit(url).hostname or ""
        self._login = login
        self._headers = {**headers, "User-Agent": "kairo-metrics"}
        self._answers = answers
        self._sleep = sleep
        self._not_before_s = 0.0
        self._opener = _opener()

    def send(self, body: Body, deadline_s: float) -> Receipt:
        """Send one body, blocking, and return what the receiver says of it.

        Args:
            body: what to send.
            deadline_s: when to give up, by `time.monotonic`.

        Raises:
            ReceiverError: it was refused, or not accepted in time.
            UnspokenError: the receiver does not take this version of the protocol.
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

    def _attempt(self, body: Body, patience_s: float) -> Receipt:
        """Send the body once, within this many seconds.

        A socket's time limit starts again with each byte, and a name lookup has none. So a thread sends the request. It
        is left running if it takes too long.
        """
        if patience_s <= 0:
            raise ReceiverError(f"{self.host} has not taken everything in time")
        receipt: Future[Receipt] = Future()
        threading.Thread(target=self._send_into, args=(receipt, body, patience_s), daemon=True).start()
        try:
            return receipt.result(patience_s)
        except TimeoutError:
            raise ReceiverError(f"{self.host} has not answered in time") from None

    def _send_into(self, receipt: Future[Receipt], body: Body, patience_s: float) -> None:
        try:
            receipt.set_result(self._post(body, patience_s))
        except BaseException as err:  # noqa: BLE001 - `receipt.result` raises it again
            receipt.set_exception(err)

    def _post(self, body: Body, patience_s: float) -> Receipt:
        # Those of the protocol come last: no login may change them.
        headers = {**self._login.headers(self._url, self._headers, body.data), **self._headers}
        request = Request(self._url, body.data, headers, method="POST")  # noqa: S310 - PushSettings takes HTTP alone
        try:
            with self._opener.open(request, timeout=patience_s) as response:
                # A body that nobody reads need not arrive.
                body_read = response.read(_LONGEST_READ) if self._answers.reads_success else b""
                answer = Answer(self.host, response.status, response.headers, body_read)
        except HTTPError as err:
            with err:
                answer = Answer(self.host, err.code, err.headers, _beginning(err))
        except (OSError, HTTPException) as err:
            cause = err.reason if isinstance(err, URLError) else err
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise ReceiverError(
                    f"{self.host} has no valid certificate: {cause.verify_message}", final=True
                ) from err
            raise _TryAgainError(
                f"{self.host} could not be reached: {_printable(str(cause)) or type(cause).__name__}"
            ) from err
        receipt = self._answers.receipt(body, answer)
        if receipt is None:
            raise self._refusal(answer)
        return Receipt(receipt.refused, self._shown(receipt.reason))

    def _refusal(self, answer: Answer) -> Exception:
        """Return the error for a body that was not taken."""
        if 300 <= answer.status < 400:  # noqa: PLR2004 - redirects
            said = f"a redirect to {answer.headers.get('Location', 'nowhere')}; name the final address"
        else:
            words = self._answers.words(answer).decode(errors="replace").strip()
            said = words.partition("\n")[0] or _phrase(answer.status)
        reason = f"{self.host} answered {answer.status}: {self._shown(said)}"
        if self._answers.is_temporary(answer.status):
            return _TryAgainError(reason, _asked_pause_s(answer.headers))
        about_body = answer.status >= 400 and answer.status not in _NOT_ABOUT_THE_BODY  # noqa: PLR2004 - else a redirect
        return ReceiverError(reason, final=True, status=answer.status if about_body else 0)

    def _shown(self, reason: str) -> str:
        """Take out the login, which some receivers repeat when they refuse it."""
        for secret in self._login.secrets:
            reason = reason.replace(secret, "***")
        return _printable(reason)[:_LONGEST_REASON]


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


def _beginning(err: HTTPError) -> bytes:
    try:
        # More than is shown, so that a login at the end is read whole, and found.
        body: bytes = err.read1(_LONGEST_READ)
    except (OSError, HTTPException):
        return b""
    return body


def _phrase(status: int) -> str:
    return responses.get(status, "no reason")


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
