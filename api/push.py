"""`GET /api/push`: called by a cron, it pushes the metrics to a Prometheus that can't scrape."""

from lib.kairo_metrics import push_app
from lib.kairo_metrics.entrypoints.aws_lambda import lambda_handler

app = push_app()
handler = lambda_handler(app)
