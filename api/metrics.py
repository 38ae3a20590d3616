"""`GET /api/metrics`: what Prometheus scrapes."""

from lib.kairo_metrics import lambda_handler, metrics_app

app = metrics_app()
handler = lambda_handler(app)
