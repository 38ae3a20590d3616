"""An ASGI app that goes on after its response."""

import asyncio
from typing import Any

from prometheus_client import Counter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from vercel.functions import wait_until

from lib.kairo_metrics import instrument, measured

SENT = Counter("mails_sent_total", "Mails.")


@measured("mail")
async def mail() -> None:
    await asyncio.sleep(0.05)
    SENT.inc()


async def order(_request: Request) -> Any:
    wait_until(mail())
    return PlainTextResponse("ordered")


app = instrument(Starlette(routes=[Route("/api/later", order)]))
