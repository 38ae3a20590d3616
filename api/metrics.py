"""`GET /api/metrics`: what Prometheus scrapes."""

from mangum import Mangum

from lib.kairo_metrics import metrics_app

app = metrics_app()
handler = Mangum(app, lifespan="off", text_mime_types=["text/", "application/json", "application/openmetrics-text"])
