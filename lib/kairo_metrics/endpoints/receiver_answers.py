"""What the answers of a receiver mean in each protocol."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message
from typing import Protocol

from ..exposition.push_format import Body
from .page_push import Receipt

__all__ = ["Answer", "Answers", "OtlpAnswers", "UnspokenError", "Version1Answers", "Version2Answers"]

_TOO_MANY_REQUESTS = 429
_UNSUPPORTED_TYPE = 415
_WRITTEN = "X-Prometheus-Remote-Write-{}-Written"
_PROTOBUF = "application/x-protobuf"
# Digits of a count that fits into 64 bits.
_LONGEST_COUNT = 20


class UnspokenError(Exception):
    """The receiver does not take this version of the protocol, and another one is to be tried."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one request.

    Args:
        host: who answered.
        status: the HTTP status.
        headers: its headers.
        body: the beginning of its body.
    """

    host: str
    status: int
    headers: Message
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether the status is one of success."""
        return 200 <= self.status < 300  # noqa: PLR2004  the statuses of success

    @property
    def is_refusal(self) -> bool:
        """Whether the status says that the request is at fault."""
        return 400 <= self.status < 500 and self.status != _TOO_MANY_REQUESTS  # noqa: PLR2004  the client's errors


class Answers(Protocol):
    """How one protocol reads answers.

    Attributes:
        reads_success: whether the body of an answer of success says anything.
    """

    reads_success: bool

    def is_temporary(self, status: int) -> bool:
        """Tell whether the same body may be taken later."""

    def receipt(self, body: Body, answer: Answer) -> Receipt | None:
        """Return what became of a body that was taken as a whole or in part; None if it was not."""

    def words(self, answer: Answer) -> bytes:
        """Return what the receiver says of a body that it has not taken."""


class Version1Answers:
    """Remote write 1.0: the status says everything.

    Source: https://prometheus.io/docs/specs/prw/remote_write_spec/
    """

    reads_success = False

    def is_temporary(self, status: int) -> bool:
        """See `Answers.is_temporary`."""
        return _is_temporary(status)

    def receipt(self, body: Body, answer: Answer) -> Receipt | None:
        """See `Answers.receipt`."""
        del body
        return Receipt() if answer.is_success else None

    def words(self, answer: Answer) -> bytes:
        """See `Answers.words`."""
        return answer.body


class Version2Answers:
    """Remote write 2.0: three headers say how much of a body was written.

    Attributes:
        understood: whether one of the answers had such a header, so that the receiver knows this version.

    Source: https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/
    """

    reads_success = False

    def __init__(self) -> None:
        self.understood = False

    def is_temporary(self, status: int) -> bool:
        """See `Answers.is_temporary`."""
        return _is_temporary(status)

    def receipt(self, body: Body, answer: Answer) -> Receipt | None:
        """See `Answers.receipt`.

        Raises:
            UnspokenError: the receiver does not know this version. It says so with the status 415. If it does not look
                at the type of the content, it sees an empty message and says that all is well, without the headers.
        """
        written = [_count(answer, part) for part in ("Samples", "Histograms", "Exemplars")]
        has_headers = any(count is not None for count in written)
        self.understood = self.understood or has_headers
        if answer.status == _UNSUPPORTED_TYPE or (answer.is_success and not has_headers):
            raise UnspokenError
        if not has_headers or not (answer.is_success or answer.is_refusal):
            return None
        samples, histograms, exemplars = (count or 0 for count in written)  # a missing header stands for none
        return _written(body, answer, samples + histograms, exemplars)

    def words(self, answer: Answer) -> bytes:
        """See `Answers.words`."""
        return answer.body


def _is_temporary(status: int) -> bool:
    return status == _TOO_MANY_REQUESTS or status >= 500  # noqa: PLR2004  the server's errors


def _written(body: Body, answer: Answer, samples: int, exemplars: int) -> Receipt | None:
    """Return the receipt for a body of which this much was written; None if it counts as refused."""
    sent = body.samples + body.histograms
    if samples < sent:
        # The halves of a refused body show what is wrong with it. An answer of success is final.
        return Receipt(sent - samples, _lack(answer, sent - samples, sent, "samples")) if answer.is_success else None
    if exemplars < body.exemplars:
        return Receipt(0, _lack(answer, body.exemplars - exemplars, body.exemplars, "exemplars"))
    return Receipt() if answer.is_success else None


def _lack(answer: Answer, missing: int, sent: int, what: str) -> str:
    words = answer.body.decode(errors="replace").strip().partition("\n")[0]
    told = f"{answer.host} answered {answer.status} and has not written {missing} of {sent} {what}"
    return f"{told}: {words}" if words else told


class OtlpAnswers:
    """OTLP over HTTP: an answer of success may say that a part was refused.

    Source: https://opentelemetry.io/docs/specs/otlp/, sections "Partial Success" and "Failures"
    """

    reads_success = True

    def is_temporary(self, status: int) -> bool:
        """See `Answers.is_temporary`."""
        return status in {429, 502, 503, 504}

    def receipt(self, body: Body, answer: Answer) -> Receipt | None:
        """See `Answers.receipt`."""
        if not answer.is_success:
            return None
        from ..exposition.otlp import refused_points

        # Some receivers forget the type of their answer.
        refused, reason = refused_points(answer.body) if _type(answer) in {_PROTOBUF, "text/plain"} else (0, "")
        told = f"{answer.host} said: {reason or 'no reason'}"
        return Receipt(min(refused, body.samples), told if refused or reason else "")

    def words(self, answer: Answer) -> bytes:
        """See `Answers.words`."""
        from ..exposition.otlp import status_message

        return status_message(answer.body) if _type(answer) == _PROTOBUF else answer.body


def _type(answer: Answer) -> str:
    """Return the type of the content; `text/plain` if the answer names none."""
    return answer.headers.get_content_type()


def _count(answer: Answer, part: str) -> int | None:
    """Return how many of one kind were written; None if the answer does not say it."""
    text = (answer.headers.get(_WRITTEN.format(part)) or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST_COUNT else None
