"""What the errors among replies mean for the next step."""

from __future__ import annotations

from typing import Any

import pytest

from lib.kairo_metrics.errors import KeysElsewhere, StoreRefused, StoreUnavailable, UnknownScript
from lib.kairo_metrics.store.replies import is_wrong_type, mark_sent_before, raise_refusal


def test_a_key_of_another_type_is_no_error() -> None:
    """A foreign key is left out of the page; any other error fails it."""
    assert is_wrong_type(StoreRefused("Redis: WRONGTYPE Operation against a key"))
    assert not is_wrong_type([b"0", []])
    with pytest.raises(StoreRefused, match="NOPERM"):
        is_wrong_type(StoreRefused("Redis: NOPERM"))


def test_a_second_attempt_remembers_that_the_first_was_sent() -> None:
    """A batch that may have been applied by the first attempt is never treated as unsent after the second one."""
    errors: list[Any] = [
        StoreUnavailable("cut"),
        UnknownScript("NOSCRIPT"),
        KeysElsewhere("MOVED", 1, "10.0.0.1", 7001, asking=False),
    ]
    mark_sent_before(errors, sent=False)
    assert [error.sent for error in errors] == [False, False, False]
    mark_sent_before(errors, sent=True)
    mark_sent_before(errors, sent=False)
    assert [error.sent for error in errors] == [True, True, True]


def test_the_first_refusal_is_raised() -> None:
    """The error that is shown is the one of the first command that was refused."""
    raise_refusal(["OK", None, 1])
    with pytest.raises(StoreRefused, match="first"):
        raise_refusal(["OK", StoreRefused("first"), StoreRefused("second")])
