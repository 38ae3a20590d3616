"""The function behind the URL that Prometheus scrapes."""

from lib.kairo_metrics import lambda_handler, metrics_app

handler = lambda_handler(metrics_app())
