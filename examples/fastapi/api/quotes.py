"""`POST /api/quotes`: returns the price of an order. One line measures this FastAPI app."""

from typing import Literal

from fastapi import FastAPI
from prometheus_client import Counter
from pydantic import BaseModel, Field

from lib.kairo_metrics import instrument

QUOTES = Counter("quotes_total", "Quotes given.", ["currency"])


class Item(BaseModel):
    """A line of an order."""

    price_cents: int = Field(ge=0)
    quantity: int = Field(ge=1)


class Order(BaseModel):
    """The items that a customer wants to buy."""

    currency: Literal["EUR", "USD"]
    items: list[Item] = Field(min_length=1)


class Quote(BaseModel):
    """The price of an order."""

    currency: str
    total_cents: int


app = instrument(FastAPI())


@app.post("/api/quotes")
async def quote(order: Order) -> Quote:
    """Add up an order."""
    QUOTES.labels(order.currency).inc()
    return Quote(currency=order.currency, total_cents=sum(item.price_cents * item.quantity for item in order.items))
