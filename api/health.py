"""`GET /api/health`: alive; with `?ready=1`, whether Redis answers."""

from mangum import Mangum

from lib.kairo_metrics.health import health_app

app = health_app()
handler = Mangum(app, lifespan="off")
