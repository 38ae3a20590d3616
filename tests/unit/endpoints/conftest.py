"""A receiver of pushes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.write_receiver import WriteReceiver, write_receiver


@pytest.fixture
def receiver() -> Iterator[WriteReceiver]:
    """Give a receiver that knows each protocol and takes everything."""
    with write_receiver() as receiver:
        yield receiver
