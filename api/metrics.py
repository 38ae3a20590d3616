"""`GET /api/metrics`: what Prometheus scrapes."""

from lib.kairo_metrics import metrics_app
from lib.kairo_metrics.entrypoints.aws_lambda import lambda_handler

app = metrics_app()
handler = lambda_handler(app)
