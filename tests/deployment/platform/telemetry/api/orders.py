"""A Flask app under OpenTelemetry's instrumentation, whose orders fill the stock again."""

from flask import Flask
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.metrics import get_meter, set_meter_provider
from opentelemetry.sdk.metrics import MeterProvider

from lib.kairo_metrics import KairoMetricReader, instrument

set_meter_provider(MeterProvider([KairoMetricReader()]))
meter = get_meter("shop")
STOCK = meter.create_up_down_counter("stock", "{item}", "Items in stock.")
app = instrument(Flask(__name__))
FlaskInstrumentor().instrument_app(app)  # type: ignore[no-untyped-call]  # it has no types


@app.get("/api/orders/<int:number>")
def order(number: int) -> str:
    STOCK.add(3)
    return str(number)
