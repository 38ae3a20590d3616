"""Running a script by its digest, and with its text where the server does not hold it."""

from __future__ import annotations

from hashlib import sha1

import pytest

from lib.kairo_metrics.errors import StoreUnavailable, UnknownScript
from lib.kairo_metrics.store.script_call import RESEND_LIMIT_S, call_script, script_text


def test_a_known_script_costs_one_short_command() -> None:
    """The text is not sent to a server that holds the script."""
    flow = call_script("tidy.lua", (1, "key", "argument"))
    assert next(flow) == ("EVALSHA", sha1(script_text("tidy.lua")).hexdigest(), 1, "key", "argument")
    with pytest.raises(StopIteration) as stop:
        flow.send(b"reply")
    assert stop.value.value == b"reply"


def test_an_unknown_script_is_sent_with_its_text() -> None:
    """After a restart of the server, the same call succeeds with one more command."""
    flow = call_script("tidy.lua", (1, "key"))
    next(flow)
    assert flow.throw(UnknownScript("NOSCRIPT")) == ("EVAL", script_text("tidy.lua"), 1, "key")


def test_a_frozen_instance_does_not_send_the_script_again() -> None:
    """After too long a pause the batch may have been applied, so the flush fails and a later one decides."""
    times_s = iter([0.0, RESEND_LIMIT_S + 1])
    flow = call_script("tidy.lua", (0,), lambda: next(times_s))
    next(flow)
    with pytest.raises(StoreUnavailable, match="was frozen") as caught:
        flow.throw(UnknownScript("NOSCRIPT"))
    assert caught.value.sent


@pytest.mark.parametrize("sent", [True, False])
def test_a_second_command_that_fails_does_not_hide_that_the_first_was_sent(sent: bool) -> None:
    """A batch that an earlier attempt may have applied is not taken for one that was never sent."""
    flow = call_script("tidy.lua", (0,))
    next(flow)
    unknown = UnknownScript("NOSCRIPT")
    unknown.sent = sent
    flow.throw(unknown)
    with pytest.raises(StoreUnavailable) as caught:
        flow.throw(StoreUnavailable("refused"))
    assert caught.value.sent is sent
