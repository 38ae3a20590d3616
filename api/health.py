"""`GET /api/health`: alive; with `?ready=1`, whether Redis answers."""

from lib.kairo_metrics.endpoints.health_endpoint import health_app
from lib.kairo_metrics.entrypoints.aws_lambda import lambda_handler

app = health_app()
handler = lambda_handler(app)
