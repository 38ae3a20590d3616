"""What Prometheus scrapes."""

from lib.kairo_metrics import metrics_app

app = metrics_app()
