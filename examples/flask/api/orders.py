"""`GET /api/orders/<number>`: an order's state. One line measures this Flask app."""

from flask import Flask, abort
from flask.typing import ResponseReturnValue
from prometheus_client import Counter

from lib.kairo_metrics import instrument

LOOKUPS = Counter("order_lookups_total", "Orders looked up.", ["state"])
STATES = {1: "paid", 2: "sent"}

app = instrument(Flask(__name__))


@app.get("/api/orders/<int:number>")
def order(number: int) -> ResponseReturnValue:
    """Return the state of an order."""
    if number not in STATES:
        abort(404)
    LOOKUPS.labels(STATES[number]).inc()
    return {"number": number, "state": STATES[number]}
