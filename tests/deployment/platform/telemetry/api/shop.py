"""A FastAPI app under OpenTelemetry's instrumentation, which counts with OpenTelemetry, too."""

from collections.abc import Iterable

from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.metrics import CallbackOptions, Observation, get_meter, set_meter_provider
from opentelemetry.sdk.metrics import MeterProvider

from lib.kairo_metrics import KairoMetricReader, instrument

set_meter_provider(MeterProvider([KairoMetricReader()]))
meter = get_meter("shop")
SOLD = meter.create_counter("items.sold", "{item}", "Items sold.")
STOCK = meter.create_up_down_counter("stock", "{item}", "Items in stock.")
PRICES = meter.create_histogram("item.price", "EUR", "Prices.", explicit_bucket_boundaries_advisory=[1, 10])
seen = 0


def tell_seen(_options: CallbackOptions) -> Iterable[Observation]:
    """Tell how many requests this instance has had."""
    yield Observation(seen)


meter.create_observable_counter("requests.seen", [tell_seen])
app = instrument(FastAPI())
FastAPIInstrumentor.instrument_app(app)


@app.get("/api/shop/items/{number}")
async def item(number: int) -> int:
    global seen  # noqa: PLW0603  as short programs do
    seen += 1
    SOLD.add(2, {"kind": "book"})
    STOCK.add(-2)
    PRICES.record(number)
    return number
