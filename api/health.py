"""`GET /api/health`: whether the function is alive; with `?ready=1`, whether Redis answers."""

from lib.kairo_metrics import health_app, lambda_handler

app = health_app()
handler = lambda_handler(app)
