"""`GET /api/push`: called by a cron, it pushes the metrics to a Prometheus that can't scrape."""

from lib.kairo_metrics import lambda_handler, push_app

app = push_app()
handler = lambda_handler(app)
