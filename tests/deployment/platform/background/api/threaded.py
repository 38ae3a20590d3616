"""A WSGI app that goes on after its response."""

import asyncio
from collections.abc import Iterable
from typing import Any

from prometheus_client import Counter
from vercel.functions import wait_until

from lib.kairo_metrics import instrument, measured

SENT = Counter("mails_sent_total", "Mails.")


@measured("mail")
async def mail() -> None:
    await asyncio.sleep(0.05)
    SENT.inc()


@instrument
def app(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    wait_until(mail())
    start_response("200 OK", [("Content-Length", "7")])
    return [b"ordered"]
