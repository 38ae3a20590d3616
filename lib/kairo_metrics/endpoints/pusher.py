"""One push of a page: the protocol that the receiver takes, zeros before first values, native histograms apart."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

from ..config.push_settings import PushSettings
from ..errors import ReceiverError
from ..exposition.classic import as_classic
from ..exposition.family import Extras
from ..exposition.page import Page
from ..exposition.push_format import PushFormat
from .logins import login_of
from .page_push import PushReport, push_page
from .push_mark import new_since_ms, receiver_name
from .receiver_answers import Answers, OtlpAnswers, UnspokenError, Version1Answers, Version2Answers
from .receiver_client import ReceiverClient

__all__ = ["PushOutcome", "Pusher"]

# By the setting, the protocols to try: where the format is, and how its answers are read.
_VERSION_1 = ("remote_write", Version1Answers)
_PROTOCOLS: dict[str, tuple[tuple[str, Callable[[], Answers]], ...]] = {
    "remote-write": (("remote_write_2", Version2Answers), _VERSION_1),
    "remote-write-1": (_VERSION_1,),
    "otlp": (("otlp", OtlpAnswers),),
}
# Of the time that is left, what native histograms may use if the receiver does not take them.
_SHARE_OF_NATIVE = 1 / 4


@dataclass(slots=True)
class PushOutcome:
    """What became of a page.

    Args:
        protocol: the protocol that it was sent in.
        items: what its parts are called there.
        values: what became of the values.
        zeros: what became of the zeros before them.
        remarks: what else is to be told.
    """

    protocol: str
    items: str
    values: PushReport[str] = field(default_factory=PushReport)
    zeros: PushReport[str] = field(default_factory=PushReport)
    remarks: list[str] = field(default_factory=list)


class Pusher:
    """Sends pages to the receiver of the settings, and remembers which version of remote write it takes.

    Args:
        settings: the protocol, the receiver and the login there.
        sleep: waits this many seconds between two attempts.
    """

    def __init__(self, settings: PushSettings, sleep: Callable[[float], None] = time.sleep) -> None:
        self._settings = settings
        self._sleep = sleep
        self._login = login_of(settings)
        self._protocols = _PROTOCOLS[settings.protocol]
        _format(self._protocols[0][0])  # its import is not to take from the time of a push

    @property
    def extras(self) -> Extras:
        """What a page is to have for the newest protocol that the receiver may take."""
        more = self._protocols[0] is not _VERSION_1
        return Extras(began=True, exemplars=more, created=more, native=more)

    def push(self, page: Page, deadline_s: float) -> PushOutcome:
        """Send a page, blocking.

        Args:
            page: with these `extras`.
            deadline_s: when to give up, by `time.monotonic`.
        """
        protocols = self._protocols
        sender = self._sender(*protocols[0])
        try:
            outcome = sender.push(page, deadline_s)
        except UnspokenError:
            self._protocols = protocols[1:]
            return self.push(page, deadline_s)
        if len(protocols) > 1 and outcome.values.refused and not outcome.values.taken and not sender.understood:
            # A receiver of 1.0 may also refuse what it can't read with the status 400.
            other = self._sender(*protocols[1]).push(page, deadline_s)
            if other.values.taken:
                self._protocols = protocols[1:]
                return other
        return outcome

    def probe(self, deadline_s: float) -> str:
        """Send a request without samples, blocking, and return the name of the protocol that the receiver takes.

        Args:
            deadline_s: when to give up, by `time.monotonic`.

        Raises:
            ReceiverError: it was not accepted.
        """
        *newer, last = map(self._sender, *zip(*self._protocols, strict=True))
        for sender in newer:
            try:
                sender.client.send(sender.form.body_of([]), deadline_s)
            except UnspokenError:
                continue
            except ReceiverError:
                if sender.understood:
                    raise
                continue  # an old receiver may refuse what it can't read
            return sender.form.name
        last.client.send(last.form.body_of([]), deadline_s)
        return last.form.name

    def _sender(self, module: str, answers_of: Callable[[], Answers]) -> _Sender:
        form, answers = _format(module), answers_of()
        url = self._settings.receiver_url or ""
        client = ReceiverClient(url, self._login, form.headers, answers, self._sleep)
        return _Sender(self._settings, form, client, answers)


def _format(module: str) -> PushFormat[Any]:
    form: PushFormat[Any] = import_module(f"...exposition.{module}", __name__).FORMAT
    return form


@dataclass(frozen=True, slots=True)
class _Sender:
    """Sends a page in one protocol."""

    settings: PushSettings
    form: PushFormat[Any]
    client: ReceiverClient
    answers: Answers

    @property
    def understood(self) -> bool:
        """Whether the receiver is known to take this protocol."""
        return not isinstance(self.answers, Version2Answers) or self.answers.understood

    def push(self, page: Page, deadline_s: float) -> PushOutcome:
        outcome = PushOutcome(self.form.name, self.form.items)
        native = self._with(page, [family for family in page.families if family.schema.type == "native"])
        others = self._with(page, [family for family in page.families if family.schema.type != "native"])
        if not (self.form.has_native and native.families):
            self._send(page, page, deadline_s, outcome)
            return outcome
        self._send(others, page, deadline_s, outcome)
        if outcome.values.ended:
            outcome.values.leave(sum(len(family.series) for family in native.families), outcome.values.reason)
            return outcome
        self._send_native(native, page, deadline_s, outcome)
        return outcome

    def _send_native(self, native: Page, page: Page, deadline_s: float, outcome: PushOutcome) -> None:
        """Send native histograms in bodies of their own, and as classic ones if the receiver takes none.

        Prometheus before 3.8 answers 500 to a body with one of them, unless it is started with
        `--enable-feature=native-histograms`, and stores nothing else of that body.
        """
        now_s = time.monotonic()
        tried = PushOutcome(outcome.protocol, outcome.items)
        share_s = (deadline_s - now_s) * _SHARE_OF_NATIVE
        self._send(native, page, now_s + share_s, tried)
        if outcome.values.taken and not tried.values.taken and not tried.values.ended:
            classic = PushOutcome(outcome.protocol, outcome.items)
            self._send(self._with(native, list(map(as_classic, native.families))), page, deadline_s, classic)
            if classic.values.taken:
                reasons = [reason for _, reason in tried.values.named] or [tried.values.reason]
                outcome.remarks.append(f"native histograms were sent as classic ones: {reasons[0]}")
                tried = classic
        outcome.zeros.add(tried.zeros)
        outcome.values.add(tried.values)

    def _send(self, part: Page, page: Page, deadline_s: float, outcome: PushOutcome) -> None:
        """Send a part of a page: the zeros of new series, then the values."""
        labels, form = self.settings.labels, self.form
        since_ms = new_since_ms(page, receiver_name(self.settings))
        # Without zeros, the values are still of use.
        zeros_end_s = deadline_s - (deadline_s - time.monotonic()) / 2
        zeros = push_page(self.client, form.zero_requests(part, labels, since_ms), form.body_of, zeros_end_s)
        values = push_page(self.client, form.write_requests(part, labels), form.body_of, deadline_s)
        outcome.zeros.add(self._titled(zeros))
        outcome.values.add(self._titled(values))

    def _titled(self, report: PushReport[Any]) -> PushReport[str]:
        named = [(None if part is None else self.form.title_of(part), reason) for part, reason in report.named]
        return replace(report, named=named)

    @staticmethod
    def _with(page: Page, families: list[Any]) -> Page:
        return replace(page, families=tuple(families))
